package tokensource

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/svcauth/svcauth/internal/untrusted"
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

const maxSecretFile = 64 << 10 // bytes

// lineBreak is the end of a message that begins with what holds one.
const lineBreak = "holds a line break, which is no part of it; set it without (echo ends " +
	"what it prints with one, printf does not)"

// checkSecret checks the secret and the way in which it is sent.
func (c Config) checkSecret() error {
	switch {
	case c.ClientSecret == "" && c.ClientSecretFile == "":
		return errors.New("neither ClientSecret nor ClientSecretFile is set; set one of them")
	case c.ClientSecret != "" && c.ClientSecretFile != "":
		return errors.New("both ClientSecret and ClientSecretFile are set; set one of them only")
	case strings.ContainsAny(c.ClientID, "\r\n"):
		return errors.New("ClientID " + lineBreak)
	case strings.ContainsAny(c.ClientSecret.Reveal(), "\r\n"):
		return errors.New("ClientSecret " + lineBreak)
	case c.AuthStyle != Basic && c.AuthStyle != Post:
		return errors.New("the AuthStyle is neither Basic nor Post")
	}
	return nil
}

func (c Config) readSecret() (svcauth.Secret, error) {
	if c.ClientSecretFile == "" {
		return c.ClientSecret, nil
	}
	file, err := os.Open(c.ClientSecretFile)
	if err != nil {
		return "", fmt.Errorf("the client secret file can't be opened: %w", err)
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	if err != nil {
		return "", fmt.Errorf("the client secret file can't be read: %w", err)
	}
	secret := strings.TrimSpace(string(content))
	if secret == "" || len(content) > maxSecretFile || strings.ContainsAny(secret, "\r\n") {
		return "", fmt.Errorf(
			"the client secret file %s does not hold one line with the secret, and nothing else",
			c.ClientSecretFile,
		)
	}
	return svcauth.Secret(secret), nil
}

// credential is the id and secret of one attempt.
type credential struct {
	id     string
	secret svcauth.Secret
}

// basic returns the value of the Authorization header. Each part is
// form-urlencoded (RFC 6749 §2.3.1), so that a colon or an umlaut survives.
func (c credential) basic() string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(
		url.QueryEscape(c.id)+":"+url.QueryEscape(c.secret.Reveal()),
	))
}

// scrub returns text from outside with every form redacted in which the secret
// is sent: a server may echo it, and a RoundTripper may print the request that
// failed.
func (c credential) scrub(text string) string {
	if c.secret == "" {
		return text
	}
	for _, form := range []string{
		strings.TrimPrefix(c.basic(), "Basic "),
		c.secret.Reveal(),
		url.QueryEscape(c.secret.Reveal()),
	} {
		text = strings.ReplaceAll(text, form, "[redacted]")
	}
	return text
}

// clean makes text from outside safe for one line of a log. Line breaks become
// spaces.
func (c credential) clean(text string, limit int) string {
	return untrusted.Cut(untrusted.Line(strings.Join(strings.Fields(c.scrub(text)), " ")), limit)
}

// cause makes an error of net/http safe to wrap. It drops the address, whose
// query may be confidential. If the error shows the secret, only its scrubbed
// text is kept.
func (c credential) cause(err error) error {
	var outer *url.Error
	for errors.As(err, &outer) {
		err = outer.Err
	}
	if text := err.Error(); c.scrub(text) != text {
		return errors.New(c.scrub(text))
	}
	return err
}

// addTo adds the credential to a form, or to the header of the request that
// will carry the form (RFC 6749 §2.3.1).
func (c credential) addTo(form url.Values, header http.Header, style AuthStyle) {
	if style == Post {
		form.Set("client_id", c.id)
		form.Set("client_secret", c.secret.Reveal())
		return
	}
	header.Set("Authorization", c.basic())
}
