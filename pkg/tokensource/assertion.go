package tokensource

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
)

// The types of assertions, for Config.AssertionType.
const (
	JWTBearer  = "jwt-bearer" // RFC 7523 §2.2
	JWTSPIFFE  = "jwt-spiffe" // draft-ietf-oauth-spiffe-client-auth
	typePrefix = "urn:ietf:params:oauth:client-assertion-type:"
)

const (
	// maxAssertion bounds an assertion, in bytes: a server of svcauth takes a
	// form of 16 KiB.
	maxAssertion = 15 << 10
	// clockSkew is how far this machine's clock may be ahead of the issuer's.
	clockSkew = 30 * time.Second
)

// assertion is a token that another issuer wrote for this program (RFC 7523).
type assertion struct {
	client, kind string
	what         string // begins the errors: "the assertion file /run/token"
	read         func() (string, error)
	now          func() time.Time
}

func newAssertionFile(c Config) method {
	return assertion{c.ClientID, c.AssertionType, "the assertion file " + c.AssertionFile, func() (string, error) {
		content, err := readFile("the assertion file", c.AssertionFile)
		return string(content), err
	}, c.Clock}
}

func newAssertionEnv(c Config) method {
	return assertion{c.ClientID, c.AssertionType, "the variable " + c.AssertionEnv, func() (string, error) {
		text := c.lookUp(c.AssertionEnv)
		if text == "" {
			return "", fmt.Errorf("the variable %s is not set, or empty; expected a token in it", c.AssertionEnv)
		}
		return text, nil
	}, c.Clock}
}

func (a assertion) check() error {
	text, err := a.read()
	if err == nil {
		_, _, err = parseAssertion(a.what, text)
	}
	return err
}

func (a assertion) prove(context.Context, *Source) (proof, error) {
	text, err := a.read()
	if err != nil {
		return proof{}, err
	}
	return foreignProof(a.client, a.kind, a.what, text, a.now())
}

// assertedClaims are what an assertion says, unverified.
type assertedClaims struct {
	Issuer   string      `json:"iss"`
	Subject  string      `json:"sub"`
	Audience any         `json:"aud"`
	Expiry   json.Number `json:"exp"`
}

// parseAssertion checks the form of an assertion and reads its claims. The
// errors show nothing of it.
func parseAssertion(what, text string) (assertion string, claims assertedClaims, err error) {
	text = strings.TrimSpace(text)
	parts := strings.Split(text, ".")
	switch {
	case text == "":
		return "", claims, fmt.Errorf("%s is empty; expected a token in it", what)
	case len(text) > maxAssertion:
		return "", claims, fmt.Errorf("%s holds more than the %d KiB that a token may have", what, maxAssertion>>10)
	case len(parts) != 3:
		return "", claims, fmt.Errorf("%s holds no JWT: expected three parts with dots between", what)
	}
	if slices.ContainsFunc(parts, func(part string) bool {
		_, err := base64.RawURLEncoding.DecodeString(part)
		return err != nil || part == ""
	}) {
		return "", claims, fmt.Errorf("%s holds no JWT: a part of it is not base64url", what)
	}
	payload, _ := base64.RawURLEncoding.DecodeString(parts[1])
	if json.Unmarshal(payload, &claims) != nil {
		return "", claims, fmt.Errorf("%s holds no JWT: its claims are not a JSON object with iss, sub and exp", what)
	}
	return text, claims, nil
}

// foreignProof checks an assertion that came from what, and returns what a
// request carries with it. One that has expired is not sent: the server would
// count it as a wrong credential.
func foreignProof(client, kind, what, text string, now time.Time) (proof, error) {
	text, claims, err := parseAssertion(what, text)
	if err != nil {
		return proof{}, err
	}
	if seconds, err := claims.Expiry.Float64(); err == nil && seconds > 0 && seconds < 1<<40 {
		if expiry := time.Unix(int64(seconds), 0); now.After(expiry.Add(clockSkew)) {
			return proof{}, fmt.Errorf("the token of %s expired at %s, %s ago by this machine's clock; "+
				"whoever writes it must renew it", what, expiry.UTC().Format(time.RFC3339),
				timespan.Text(now.Sub(expiry).Round(time.Second)))
		}
	}
	p := assertionProof(client, text, kind)
	audience, _ := json.Marshal(claims.Audience)
	advice := fmt.Sprintf("the token of %s is of issuer %q, subject %q, audience %s; "+
		"check that a federated credential of the client has these", what, claims.Issuer, claims.Subject, audience)
	p.advice = errors.New(p.clean(advice, 1024))
	return p, nil
}

// assertionProof returns the parameters of RFC 7521 §4.2. The client's id is
// sent if it is known, and nothing else of a client: never a secret beside it.
func assertionProof(client, text, kind string) proof {
	if kind == "" {
		kind = JWTBearer
	}
	p := proof{
		form:   map[string]string{"client_assertion_type": typePrefix + kind, "client_assertion": text},
		hidden: []string{text},
	}
	if client != "" {
		p.form["client_id"] = client
	}
	return p
}
