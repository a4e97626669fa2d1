package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What a session holds. Nothing in it is a secret.
const (
	keyMember = "member" // id
	keyEpoch  = "epoch"  // of the member's sessions when this one began
	// keyProvider is the provider of single sign-on by which it began, or empty
	// if it began with a password.
	keyProvider = "provider"
	keySeen     = "seen"   // ms of the last request, to within seenEvery
	keyFlash    = "flash"  // what the next page has to say
	keyChoice   = "choice" // organizations to choose from, after the address was proved
	keyNext     = "next"   // where to go after that
)

// sessionStore holds the sessions. If it can't be reached, the error says so:
// that is neither an internal error nor the end of a session.
type sessionStore struct{ scs.CtxStore }

// FindCtx implements scs.CtxStore.
func (s sessionStore) FindCtx(ctx context.Context, token string) (data []byte, found bool, err error) {
	data, found, err = s.CtxStore.FindCtx(ctx, token)
	return data, found, away.Problem(away.Database, away.Unchanged, err)
}

// CommitCtx implements scs.CtxStore. It is the last step of a request: what was
// asked for has been done.
func (s sessionStore) CommitCtx(ctx context.Context, token string, data []byte, expiry time.Time) error {
	return away.Problem(away.Database,
		"Your session could not be saved; look whether what you asked for was done, then try again.",
		s.CtxStore.CommitCtx(ctx, token, data, expiry))
}

// DeleteCtx implements scs.CtxStore.
func (s sessionStore) DeleteCtx(ctx context.Context, token string) error {
	return away.Problem(away.Database, "Your session could not be ended; try again in a moment.",
		s.CtxStore.DeleteCtx(ctx, token))
}

// visit is one request and its answer. Without a session the actor and the
// member are empty.
type visit struct {
	*gin.Context
	k      *Console
	actor  access.Actor
	member svcauth.Member
	loaded bool // the session has been read

	tooMany bool // it was refused because its member asks too often
}

func (k *Console) visitor(c *gin.Context) *visit {
	c.Request = c.Request.WithContext(request.Context(c))
	return &visit{Context: c, k: k}
}

// requestID returns the id of the request, as in the server's log.
func (v *visit) requestID() string { return request.Of(v.Context).ID }

// ctx returns the request's context, with the session and, behind sign-in, the
// actor.
func (v *visit) ctx() context.Context { return v.Request.Context() }

// CookieName returns the name of the session cookie at an issuer. Over https it
// begins with __Host-: no other host and no unencrypted connection can then set
// it (RFC 6265bis §4.1.3.2). That prefix requires the path /. For an issuer
// with a path the name begins with __Secure- (§4.1.3.1), and the cookie isn't
// sent to the rest of the host.
func CookieName(issuer string) string {
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Scheme != "https":
		return "svcauth"
	case u.Path != "":
		return "__Secure-svcauth"
	}
	return "__Host-svcauth"
}

func (k *Console) cookie(name, value string, maxAge time.Duration) *http.Cookie {
	c := &http.Cookie{
		Name:     name,
		Value:    value,
		Path:     cmp.Or(k.base, "/"),
		HttpOnly: true,
		Secure:   k.secure,
		SameSite: http.SameSiteLaxMode,
		MaxAge:   int(maxAge / time.Second),
	}
	if value == "" {
		c.MaxAge = -1
	}
	return c
}

// load reads the request's session.
func (v *visit) load() error {
	token, _ := v.Cookie(CookieName(v.k.cfg.Issuer))
	return v.loadToken(token)
}

func (v *visit) loadToken(token string) error {
	if len(token) > 64 {
		token = ""
	}
	ctx, err := v.k.sessions.Load(v.ctx(), token)
	if err != nil {
		return err
	}
	v.Request, v.loaded = v.Request.WithContext(ctx), true
	return nil
}

// commit saves the session if it changed, and sets its cookie, before the
// answer's header is sent.
func (v *visit) commit() error {
	if !v.loaded {
		return nil
	}
	switch v.k.sessions.Status(v.ctx()) {
	case scs.Modified:
		token, expiry, err := v.k.sessions.Commit(v.ctx())
		if err != nil {
			return err
		}
		http.SetCookie(v.Writer, v.k.cookie(CookieName(v.k.cfg.Issuer), token, time.Until(expiry)))
	case scs.Destroyed:
		http.SetCookie(v.Writer, v.k.cookie(CookieName(v.k.cfg.Issuer), "", 0))
	case scs.Unmodified:
	}
	return nil
}

// authenticate finds the member of the session. It returns false if nobody is
// signed in.
func (v *visit) authenticate() (bool, error) {
	s, now := v.k.sessions, v.k.cfg.Clock()
	id := s.GetString(v.ctx(), keyMember)
	if id == "" {
		return false, nil
	}
	seen := time.UnixMilli(s.GetInt64(v.ctx(), keySeen))
	if now.Sub(seen) > v.k.cfg.SessionIdle || !now.Before(s.Deadline(v.ctx())) {
		return false, v.end()
	}
	actor, member, err := v.k.cfg.People.SessionActor(v.ctx(), people.Identity{
		MemberID: id,
		Epoch:    s.GetInt64(v.ctx(), keyEpoch),
		Provider: s.GetString(v.ctx(), keyProvider),
	})
	var problem *svcauth.Problem
	if errors.As(err, &problem) && problem.Code == svcauth.CodeUnauthenticated {
		return false, v.end()
	}
	if err != nil {
		return false, err
	}
	if now.Sub(seen) > v.k.cfg.SessionIdle/30 {
		s.Put(v.ctx(), keySeen, now.UnixMilli())
	}
	v.actor, v.member = actor, member
	return true, nil
}

// bySingleSignOn reports whether this session began at the provider of single
// sign-on.
func (v *visit) bySingleSignOn() bool { return v.k.sessions.GetString(v.ctx(), keyProvider) != "" }

// Actor returns the member who is signed in to the console, if any, for the
// management API. It returns an error if that can't be known now. It doesn't
// check which site a request comes from: a caller that changes anything must.
func (k *Console) Actor(r *http.Request) (actor access.Actor, ok bool, err error) {
	cookie, err := r.Cookie(CookieName(k.cfg.Issuer))
	if err != nil {
		return actor, false, nil //nolint:nilerr // there is no such cookie
	}
	v := &visit{Context: &gin.Context{Request: r}, k: k}
	if err := v.loadToken(cookie.Value); err != nil {
		return actor, false, err
	}
	ok, err = v.authenticate()
	return v.actor, ok, err
}

// begin starts a session with a new token, whatever cookie the browser sent.
func (v *visit) begin(in people.Identity) error {
	s := v.k.sessions
	if err := s.Clear(v.ctx()); err != nil {
		return err
	}
	if err := s.RenewToken(v.ctx()); err != nil {
		return err
	}
	s.SetDeadline(v.ctx(), v.k.cfg.Clock().Add(v.k.cfg.SessionLifetime))
	s.Put(v.ctx(), keyMember, in.MemberID)
	s.Put(v.ctx(), keyEpoch, in.Epoch)
	s.Put(v.ctx(), keyProvider, in.Provider)
	s.Put(v.ctx(), keySeen, v.k.cfg.Clock().UnixMilli())
	return nil
}

// end destroys the session, here and in the database.
func (v *visit) end() error { return v.k.sessions.Destroy(v.ctx()) }

// signedIn serves a page to members. It sends anybody else to the sign-in page,
// and from there back here.
func (k *Console) signedIn(page func(*visit) error) gin.HandlerFunc {
	return k.open(func(v *visit) error {
		ok, err := v.authenticate()
		if err != nil {
			return err
		}
		if !ok {
			to := "/console/sign-in"
			switch {
			case v.Request.Method != http.MethodGet:
				to += "?unsaved=yes" // in the address, for a stranger gets no session to keep it in
			case v.Request.URL.Path != "/console":
				to += "?next=" + url.QueryEscape(v.Request.URL.RequestURI())
			}
			return v.redirect(to)
		}
		leave, err := v.enter()
		if err != nil {
			return err
		}
		defer leave()
		v.act()
		return page(v)
	})
}

// act stores the signed-in member in the request's context, with where it asks
// from.
func (v *visit) act() {
	v.actor.IP, v.actor.RequestID = v.ClientIP(), v.requestID()
	request.Of(v.Context).Claimant = request.Claimant{OrgID: v.actor.OrgID, ClientID: v.actor.ID, Proven: true}
	v.Request = v.Request.WithContext(access.WithActor(v.ctx(), v.actor))
}

// open serves a page to anybody.
func (k *Console) open(page func(*visit) error) gin.HandlerFunc {
	return k.bare(func(v *visit) error {
		if err := v.load(); err != nil {
			return err
		}
		if err := v.readForm(); err != nil {
			return err
		}
		return page(v)
	})
}

// bare serves a page to anybody without reading session or form.
func (k *Console) bare(page func(*visit) error) gin.HandlerFunc {
	return func(c *gin.Context) {
		v := k.visitor(c)
		if err := page(v); err != nil {
			k.refuse(v, err)
			var p *svcauth.Problem
			if k.cfg.Callers != nil && v.actor.ID != "" && errors.As(err, &p) && p.Status == http.StatusForbidden {
				k.cfg.Callers.Refused(v.actor.ID, v.actor.OrgID, k.cfg.Clock())
			}
		}
		if v.tooMany {
			// only the answer's end waits: its in-flight slot was released at
			// the beginning
			k.cfg.Callers.Hold(v.Request.Context(), v.actor.ID)
		}
	}
}

// enter counts a member's request until leave, together with its calls of the
// management API.
func (v *visit) enter() (leave func(), err error) {
	if v.k.cfg.Callers == nil {
		return func() {}, nil
	}
	leave, wait := v.k.cfg.Callers.Enter(v.actor.ID, v.actor.OrgID, v.k.cfg.Clock())
	if wait == 0 {
		return leave, nil
	}
	v.tooMany = true
	p := svcauth.NewProblem(svcauth.CodeTooMany, "Too many requests at once, or within the last seconds, by you or "+
		"by others of your organization. Nothing was changed; wait a moment, then go on more slowly.")
	p.RetryAfter = wait
	return nil, p
}

// readForm reads the body of a form, within bounds.
func (v *visit) readForm() error {
	if v.Request.Method != http.MethodPost {
		return nil
	}
	if err := v.Request.ParseForm(); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return svcauth.NewProblem(svcauth.CodeTooLarge,
				"This form is larger than the console takes (%d KiB). Shorten it.", large.Limit>>10)
		}
		return svcauth.NewProblem(svcauth.CodeMalformed,
			"This form can't be read. Go back, reload the page and send it again.")
	}
	return nil
}

// returnTo returns where to go after sign-in: only to a path of the console,
// never to another site.
func returnTo(next string) string {
	const first = "/console" // which leads to the first page that the member may see
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/console/") ||
		strings.HasPrefix(u.Path, "/console/sign-") ||
		path.Clean(u.Path) != u.Path || strings.ContainsAny(next, "\\\r\n") {
		return first
	}
	return next
}
