package console

import (
	"bytes"
	"compress/gzip"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

//go:embed templates/*.html
var templateFiles embed.FS

// pages holds the templates by name. Each consists of the layout, the common
// parts and its own file.
type pages map[string]lazyTemplate

// lazyTemplate is a template that is parsed when its page is first shown: each
// has a copy of the common parts, and a node that shows no pages keeps none.
type lazyTemplate struct {
	parsed func() (*template.Template, error)
}

// ExecuteTemplate is [template.Template.ExecuteTemplate].
func (l lazyTemplate) ExecuteTemplate(w io.Writer, name string, data any) error {
	t, err := l.parsed()
	if err != nil {
		return err
	}
	return t.ExecuteTemplate(w, name, data)
}

func (k *Console) loadPages() (pages, error) {
	base, err := template.New("").Funcs(k.functions()).ParseFS(templateFiles, "templates/layout.html",
		"templates/parts.html")
	if err != nil {
		return nil, fmt.Errorf("read the console's templates: %w", err)
	}
	names, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return nil, err
	}
	all := pages{}
	for _, file := range names {
		name := strings.TrimSuffix(path.Base(file), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		all[name] = lazyTemplate{sync.OnceValues(func() (*template.Template, error) {
			clone, err := base.Clone()
			if err != nil {
				return nil, err
			}
			return clone.ParseFS(templateFiles, file)
		})}
	}
	return all, nil
}

// page holds what the layout needs for any page. Data is the page's own.
type page struct {
	Title  string
	Nav    string // the entry of the navigation that is current
	Parent *link  // where the page belongs, for the line above its title
	Data   any
	Dialog bool // a dialog is open: what lies behind is out of reach

	// Filled in by render.
	Name  string  // of the template
	Me    *viewer // nil: nobody is signed in
	Flash string
	Once  string // token of a form that works once
}

type link struct{ Name, Href string }

// viewer is the member who looks at a page, as its layout shows them.
type viewer struct {
	Name, Email, Organization string
	Can                       map[string]bool
}

// render writes a page. It builds the whole page before it sends the first
// byte, so a fault never leaves half a page.
func (v *visit) render(status int, name string, p page) error {
	p.Name = name
	if v.loaded {
		p.Flash = v.k.sessions.PopString(v.ctx(), keyFlash)
	}
	if v.member.ID != "" {
		p.Me = &viewer{
			Name:         personName(v.member),
			Email:        v.member.Email,
			Organization: v.actor.OrgName,
			Can:          map[string]bool{},
		}
		for _, privilege := range v.actor.Privileges {
			p.Me.Can[privilege] = true
		}
		p.Once = newOnce()
	}
	var body bytes.Buffer
	if err := v.k.pages[name].ExecuteTemplate(&body, "layout", p); err != nil {
		return fmt.Errorf("write the page %s: %w", name, err)
	}
	if err := v.commit(); err != nil {
		return err
	}
	return v.send(status, name, body.Bytes())
}

// send writes the page, compressed if the browser accepts that. The answer to a
// form may show a secret, and so may an invitation. They are never compressed:
// an attacker who controls a part of a compressed page could learn the secret
// from its length (BREACH).
func (v *visit) send(status int, name string, body []byte) error {
	const kind = "text/html; charset=utf-8"
	if v.Request.Method != http.MethodGet || name == "invitation" || len(body) < 1400 ||
		!strings.Contains(v.GetHeader("Accept-Encoding"), "gzip") {
		v.Data(status, kind, body)
		return nil
	}
	var small bytes.Buffer
	w := gzip.NewWriter(&small)
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	v.Header("Content-Encoding", "gzip")
	v.Header("Vary", "Accept-Encoding")
	v.Data(status, kind, small.Bytes())
	return nil
}

// redirect sends the browser to another page of the console (RFC 9110 §15.4.4).
// Like every address in this package, to is without the issuer's path, which is
// added here.
func (v *visit) redirect(to string) error { return v.lead(v.k.base + to) }

// lead sends the browser to any address.
func (v *visit) lead(to string) error {
	if err := v.commit(); err != nil {
		return err
	}
	v.Redirect(http.StatusSeeOther, to)
	return nil
}

// done sends the browser to another page, which first shows a message.
func (v *visit) done(to, format string, args ...any) error {
	v.k.sessions.Put(v.ctx(), keyFlash, fmt.Sprintf(format, args...))
	return v.redirect(to)
}

// enforceWait is how long a page waits for the resource servers to enforce what
// was removed.
const enforceWait = 2 * time.Second

// removed is like done, after something was removed: the message says how many
// resource servers enforce that. The request holds no in-flight slot while it
// waits for them.
func (v *visit) removed(to, format string, args ...any) error {
	message := fmt.Sprintf(format, args...)
	if v.k.cfg.Enforced != nil {
		limits.Release(v.ctx())
		message += howFar(v.k.cfg.Enforced(v.ctx(), enforceWait))
	}
	return v.done(to, "%s", message)
}

// howFar returns how many resource servers enforce a removal, in words.
func howFar(e svcauth.Enforcement) string {
	servers := plural(e.Connected, "connected resource server")
	switch {
	case e.NotCounted && e.Connected == 0:
		return " How many resource servers enforce it was not counted."
	case e.NotCounted:
		return fmt.Sprintf(" %d of %s enforce it so far; others are connected that were not counted.", e.Enforced,
			servers)
	case e.Partial:
		return fmt.Sprintf(" %d of %s enforce it so far; those of other nodes could not be counted.", e.Enforced,
			servers)
	case e.Connected == 0:
		return ""
	case !e.All():
		return fmt.Sprintf(" %d of %s enforce it so far; the page Resource servers shows which is behind.", e.Enforced,
			servers)
	case e.Connected == 1:
		return fmt.Sprintf(" The resource server that is connected enforces it, after %d ms.", e.ElapsedMS)
	}
	return fmt.Sprintf(" All %s that are connected enforce it, after %d ms.", plural(e.Connected, "resource server"),
		e.ElapsedMS)
}

// refuse writes the page that says what went wrong. The cause of an internal
// error goes to the log only.
func (k *Console) refuse(v *visit, err error) {
	var problem *svcauth.Problem
	said := "the page failed; the server's log says why"
	if errors.As(err, &problem) {
		said = problem.Detail
	} else {
		id := v.requestID()
		k.cfg.Logger.ErrorContext(v.Request.Context(), "a console page failed", "route", v.FullPath(), "request_id", id,
			"error", err)
		problem = svcauth.NewProblem(svcauth.CodeInternal,
			"Something went wrong on our side. If it happens again, tell your operator the request id %s.", id)
	}
	if problem.Status == http.StatusServiceUnavailable && problem.RetryAfter == 0 {
		problem.RetryAfter = time.Second
	}
	httpx.SetRetryAfter(v.Writer.Header(), problem.RetryAfter)
	loaded := v.loaded
	if problem.Status >= 500 {
		v.loaded = false // the database may be away: this page needs none
		o := &request.Of(v.Context).Outcome
		o.Code, o.Reason, o.Said = problem.Code, problem.Code, said
	}
	if err := v.render(problem.Status, "problem", page{Title: problem.Title, Data: problem}); err != nil {
		k.cfg.Logger.ErrorContext(v.Request.Context(), "a console page failed", "route", v.FullPath(), "error", err)
		v.String(http.StatusInternalServerError, "Something went wrong on our side.")
	}
	v.loaded = loaded
}
