package tokensource

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// AuthStyle is how the client sends its id and secret to the token endpoint.
type AuthStyle int

const (
	// Basic sends them in the Authorization header, each form-urlencoded first
	// (RFC 6749 §2.3.1). Every server must support it.
	Basic AuthStyle = iota
	// Post sends them as client_id and client_secret in the body, for servers
	// that support nothing else.
	Post
)

// clientSecret is the way of RFC 6749 §2.3.1.
type clientSecret struct {
	id     string
	secret svcauth.Secret
	file   string // read for each request, if it is set
	style  AuthStyle
}

func newSecret(c Config) method {
	return clientSecret{c.ClientID, c.ClientSecret, c.ClientSecretFile, c.AuthStyle}
}

func (c clientSecret) check() error {
	_, err := c.read()
	return err
}

func (c clientSecret) read() (svcauth.Secret, error) {
	if c.file == "" {
		return c.secret, nil
	}
	content, err := readFile("the client secret file", c.file)
	if err != nil {
		return "", err
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf(
			"the client secret file %s does not hold one line with the secret, and nothing else",
			c.file,
		)
	}
	return svcauth.Secret(secret), nil
}

func (c clientSecret) prove(context.Context, *Source) (proof, error) {
	secret, err := c.read()
	if err != nil {
		return proof{}, err
	}
	// Each part is form-urlencoded (RFC 6749 §2.3.1), so that a colon or an
	// umlaut survives.
	text, escaped := secret.Reveal(), url.QueryEscape(secret.Reveal())
	basic := base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(c.id) + ":" + escaped))
	p := proof{hidden: []string{basic, text, escaped}}
	if c.style == Post {
		p.form = map[string]string{"client_id": c.id, "client_secret": text}
	} else {
		p.authorization = "Basic " + basic
	}
	if _, err := svcauth.ParseSecret(text); errors.Is(err, svcauth.ErrSecretChecksum) {
		p.advice = err // by its form it is a secret of svcauth, but mistyped
	}
	return p, nil
}
