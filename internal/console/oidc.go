package console

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// attempt is a sign-in that is under way. The browser that began it keeps it in
// a cookie, sealed: a cookie that this server did not make costs it nothing,
// and neither does an attempt without its state.
type attempt struct {
	State    string `json:"state"`
	Nonce    string `json:"nonce"`
	Verifier string `json:"verifier"` // RFC 7636 §4.1
	Next     string `json:"next"`
	Ends     int64  `json:"ends"` // Unix seconds
}

const (
	attemptLife = 10 * time.Minute
	// maxAttemptNext bounds the page to return to: browsers keep cookies up to
	// 4 KiB (RFC 6265 §6.1).
	maxAttemptNext   = 1 << 10
	maxAttemptCookie = 4 << 10
)

func (k *Console) attemptCookie(value string) *http.Cookie {
	return k.cookie(CookieName(k.cfg.Issuer)+"-oidc", value, attemptLife)
}

// attemptName is what an attempt is sealed under: one at another provider is
// none.
func (k *Console) attemptName() string { return "sign-in at " + k.cfg.OIDC.Issuer }

func (v *visit) keepAttempt(a attempt) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	sealed := v.k.cfg.Seal(v.k.attemptName(), text)
	http.SetCookie(v.Writer, v.k.attemptCookie(base64.RawURLEncoding.EncodeToString(sealed)))
	return nil
}

// attempt returns the attempt that this browser has begun with this state, if
// there is one and it has not ended.
func (v *visit) attempt(state string) (a attempt, ok bool) {
	text, err := v.Cookie(v.k.attemptCookie("").Name)
	if err != nil || len(text) > maxAttemptCookie {
		return a, false
	}
	sealed, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return a, false
	}
	plain, err := v.k.cfg.Open(v.k.attemptName(), sealed)
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return a, false
	}
	return a, v.k.cfg.Clock().Unix() < a.Ends && subtle.ConstantTimeCompare([]byte(a.State), []byte(state)) == 1
}

func toProvider(v *visit) error {
	if v.k.oidc == nil {
		return noProvider()
	}
	at, err := v.k.oidc.reach(v)
	if err != nil {
		return err
	}
	a := attempt{
		State:    rand.Text(),
		Nonce:    rand.Text(),
		Verifier: oauth2.GenerateVerifier(),
		Next:     returnTo(v.next()),
		Ends:     v.k.cfg.Clock().Add(attemptLife).Unix(),
	}
	if len(a.Next) > maxAttemptNext {
		a.Next = returnTo("")
	}
	if err := v.keepAttempt(a); err != nil {
		return err
	}
	return v.lead(at.client.AuthCodeURL(a.State, oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)))
}

func noProvider() error {
	return svcauth.NewProblem(svcauth.CodeNotFound, "Single sign-on is not set up here. Sign in with your password.")
}

// fromProvider takes the provider's answer. Only who was invited gets in, by an
// address that the provider says it has verified. An answer to nothing that was
// begun here is refused before anybody is asked, the database included. The
// attempt stays only if the provider could not be asked: then the page can be
// loaded again.
func fromProvider(v *visit) error {
	if v.k.oidc == nil {
		return noProvider()
	}
	email, next, err := v.answered()
	var problem *svcauth.Problem
	if !errors.As(err, &problem) || problem.Status != http.StatusServiceUnavailable {
		http.SetCookie(v.Writer, v.k.attemptCookie(""))
	}
	if err != nil {
		return err
	}
	if err := v.load(); err != nil {
		return err
	}
	members, err := v.k.cfg.People.MemberByVerifiedEmail(v.ctx(), email)
	if err != nil {
		return err
	}
	switch len(members) {
	case 0:
		return svcauth.NewProblem(svcauth.CodeForbidden,
			"Nobody with the address %s was invited. Ask an administrator of your organization for an invitation.",
			email)
	case 1:
		return v.signInVerified(email, members[0], next)
	}
	return v.offer(email, members, next)
}

// answered returns the address that the provider vouches for, and the page to
// return to.
func (v *visit) answered() (email, next string, err error) {
	a, ok := v.attempt(v.Query("state"))
	if !ok { // RFC 6749 §10.12
		return "", "", svcauth.NewProblem(svcauth.CodeUnauthenticated,
			"This sign-in was not begun in this browser, or too long ago. Begin again from the sign-in page.")
	}
	if code := v.Query("error"); code != "" {
		v.k.cfg.Logger.WarnContext(v.ctx(), "the OpenID provider refused a sign-in", "code", code)
		return "", "", svcauth.NewProblem(svcauth.CodeUnauthenticated, "The provider of single sign-on refused. "+
			"Begin again from the sign-in page, or sign in with your password.")
	}
	email, err = v.k.oidc.verifiedEmail(v, a)
	return email, a.Next, err
}
