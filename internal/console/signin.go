package console

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountPublic(g *gin.RouterGroup) {
	g.GET("", k.signedIn(home))
	g.GET("/", k.open(func(v *visit) error { return v.redirect("/console") }))
	g.GET("/sign-in", k.open(signInPage))
	g.POST("/sign-in", k.open(signIn))
	g.GET("/sign-in/organization", k.open(choicePage))
	g.POST("/sign-in/organization", k.open(choose))
	g.GET("/sign-in/provider", k.bare(toProvider))
	g.GET("/sign-in/callback", k.bare(fromProvider))
	g.POST("/sign-out", k.open(signOut))
	g.GET("/invitation", k.open(invitationPage))
	g.POST("/invitation", k.open(acceptInvitation))
}

// home leads to the first page that the member may see.
func home(v *visit) error {
	if v.actor.Has(svcauth.MembersRead) {
		return v.redirect("/console/members")
	}
	return v.redirect("/console/application-keys")
}

type signInData struct {
	Form     *form
	Next     string
	Provider bool
}

func (v *visit) signInForm(f *form, status int) error {
	return v.render(status, "signin", page{
		Title: "Sign in",
		Data:  signInData{Form: f, Next: returnTo(v.next()), Provider: v.k.oidc != nil},
	})
}

func (v *visit) next() string {
	if next := v.PostForm("next"); next != "" {
		return next
	}
	return v.Query("next")
}

func signInPage(v *visit) error {
	if ok, err := v.authenticate(); err != nil || ok {
		if err != nil {
			return err
		}
		return v.redirect(returnTo(v.next()))
	}
	v.member = svcauth.Member{}
	f := blank()
	if v.Query("unsaved") != "" {
		f.Problem = "You were signed out meanwhile, so nothing was saved. Sign in, then do it again."
	}
	return v.signInForm(f, http.StatusOK)
}

// signIn checks address and password. An unknown address, a service account and
// a wrong password get the same answer.
func signIn(v *visit) error {
	f := v.form()
	ip, _ := netip.ParseAddr(v.ClientIP())
	ctx := access.WithActor(v.ctx(), access.Actor{IP: v.ClientIP(), RequestID: v.requestID()})
	email := strings.TrimSpace(f.Value("email"))
	in, err := v.k.cfg.People.SignIn(ctx, people.SignInRequest{
		Email:    email,
		Password: svcauth.Secret(f.Value("password")),
		IP:       ip,
	})
	f.Values.Del("password")
	var problem *svcauth.Problem
	if errors.As(err, &problem) && problem.Status < 500 {
		f.Problem = problem.Detail
		httpx.SetRetryAfter(v.Writer.Header(), problem.RetryAfter)
		return v.signInForm(f, problem.Status)
	}
	if err != nil {
		return err
	}
	if len(in.Choices) > 0 {
		return v.offer(email, in.Choices, v.next())
	}
	if err := v.begin(in); err != nil {
		return err
	}
	return v.redirect(returnTo(v.next()))
}

// choiceLife is how long a person has to choose an organization after the
// password was right.
const choiceLife = 10 * time.Minute

// byPassword stands for the provider in what offer remembers, if there was
// none.
const byPassword = "password"

// offer remembers, in a session that is nobody's yet, as whom somebody who has
// proved the address may go on.
func (v *visit) offer(email string, choices []people.Identity, next string) error {
	s := v.k.sessions
	if err := s.Clear(v.ctx()); err != nil {
		return err
	}
	if err := s.RenewToken(v.ctx()); err != nil {
		return err
	}
	lines := []string{email}
	for _, c := range choices {
		provider := cmp.Or(c.Provider, byPassword)
		lines = append(lines, fmt.Sprintf("%s %d %s %s", c.MemberID, c.Epoch, provider, c.Organization.Name))
	}
	s.Put(v.ctx(), keyChoice, strings.Join(lines, "\n"))
	s.Put(v.ctx(), keySeen, v.k.cfg.Clock().UnixMilli())
	s.Put(v.ctx(), keyNext, returnTo(next))
	return v.redirect("/console/sign-in/organization")
}

// offered returns what offer has remembered; nothing if it is over.
func (v *visit) offered() (email string, choices []people.Identity) {
	s := v.k.sessions
	lines := strings.Split(s.GetString(v.ctx(), keyChoice), "\n")
	if len(lines) < 2 || v.k.cfg.Clock().Sub(time.UnixMilli(s.GetInt64(v.ctx(), keySeen))) > choiceLife {
		return "", nil
	}
	for _, line := range lines[1:] {
		parts := strings.SplitN(line, " ", 4)
		if len(parts) != 4 {
			return "", nil // an earlier release's
		}
		epoch, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return "", nil
		}
		choices = append(choices, people.Identity{
			MemberID:     parts[0],
			Epoch:        epoch,
			Provider:     strings.TrimPrefix(parts[2], byPassword),
			Organization: svcauth.Ref{Name: parts[3]},
		})
	}
	return lines[0], choices
}

func choicePage(v *visit) error {
	email, choices := v.offered()
	if choices == nil {
		return v.redirect("/console/sign-in")
	}
	return v.render(http.StatusOK, "choice", page{Title: "Choose an organization", Data: choiceData{email, choices}})
}

type choiceData struct {
	Email   string
	Choices []people.Identity
}

func choose(v *visit) error {
	email, choices := v.offered()
	chosen := v.PostForm("member")
	for _, c := range choices {
		if c.MemberID == chosen {
			return v.signInVerified(email, c, v.k.sessions.GetString(v.ctx(), keyNext))
		}
	}
	return v.redirect("/console/sign-in")
}

// signInVerified begins the session of a member who has proved the address.
func (v *visit) signInVerified(email string, proved people.Identity, next string) error {
	ip, _ := netip.ParseAddr(v.ClientIP())
	ctx := access.WithActor(v.ctx(), access.Actor{IP: v.ClientIP(), RequestID: v.requestID()})
	in, err := v.k.cfg.People.SignInVerified(ctx, email, proved, ip)
	if err != nil {
		return err
	}
	if err := v.begin(in); err != nil {
		return err
	}
	return v.redirect(returnTo(next))
}

// signOut ends the session that the request came with. None ends unseen, and
// one that has ended already is in no log.
func signOut(v *visit) error {
	ok, err := v.authenticate()
	if err != nil {
		return err
	}
	if ok {
		leave, err := v.enter()
		if err != nil {
			return err
		}
		defer leave()
		v.act()
		if err := v.k.cfg.People.SignOut(v.ctx(), v.k.sessions.Token(v.ctx())); err != nil {
			return err
		}
	}
	if err := v.end(); err != nil {
		return err
	}
	return v.redirect("/console/sign-in")
}

type invitationData struct {
	Form     *form
	Token    string
	Invited  people.LinkInfo
	Provider bool // single sign-on leads in too
}

func (v *visit) invitation(f *form, status int, token string, invited people.LinkInfo) error {
	title := "Accept the invitation"
	if invited.Kind == "reset" {
		title = "Set a new password"
	}
	return v.render(status, "invitation", page{Title: title, Data: invitationData{
		f, token, invited, v.k.oidc != nil,
	}})
}

func invitationPage(v *visit) error {
	token := v.Query("token")
	invited, err := v.k.cfg.People.Invitation(v.ctx(), svcauth.Secret(token))
	if err != nil {
		return err
	}
	return v.invitation(blank(), http.StatusOK, token, invited)
}

func acceptInvitation(v *visit) error {
	f, token := v.form(), v.PostForm("token")
	invited, err := v.k.cfg.People.Invitation(v.ctx(), svcauth.Secret(token))
	if err != nil {
		return err
	}
	password, repeated := f.Value("password"), f.Value("repeat")
	f.Values = nil
	if password != repeated {
		f.fail("repeat", "The two passwords differ. Type the same one twice.")
		return v.invitation(f, f.status(), token, invited)
	}
	ctx := access.WithActor(v.ctx(), access.Actor{IP: v.ClientIP(), RequestID: v.requestID()})
	if _, err := v.k.cfg.People.AcceptInvitation(ctx, svcauth.Secret(token), svcauth.Secret(password)); err != nil {
		if !f.refused(err, "") {
			return err
		}
		return v.invitation(f, f.status(), token, invited)
	}
	return v.done("/console/sign-in", "Your password is set. Sign in with it.")
}
