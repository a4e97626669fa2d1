package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// form holds the submitted values and what is wrong with them. A refused form
// is shown again as it was sent.
type form struct {
	Values  url.Values
	Errors  map[string]string // by field
	Problem string            // about the whole
	Theirs  map[string]string // by field: what somebody else has made of it meanwhile

	Warnings []string // what is to be confirmed before it is done
}

func blank() *form { return &form{Values: url.Values{}} }

// filled makes a form that shows what is there: name, value, name, value …
func filled(pairs ...string) *form {
	f := blank()
	for i := 0; i+1 < len(pairs); i += 2 {
		f.Values.Add(pairs[i], pairs[i+1])
	}
	return f
}

func (v *visit) form() *form { return &form{Values: v.Request.PostForm} }

// Value returns what a field holds. It is for the templates, as Error and Other
// are.
func (f *form) Value(name string) string { return f.Values.Get(name) }

// Error returns what is wrong with a field.
func (f *form) Error(name string) string { return f.Errors[name] }

// Other returns what somebody else has changed the field to meanwhile.
func (f *form) Other(name string) string { return f.Theirs[name] }

// Has reports whether a box is ticked.
func (f *form) Has(name, value string) bool {
	for _, v := range f.Values[name] {
		if v == value {
			return true
		}
	}
	return false
}

// caution asks that a change be refused for what there is to warn of, unless
// that was shown and confirmed.
func (f *form) caution() svcauth.Caution { return svcauth.Caution{Strict: f.Value("confirm") != "yes"} }

// refused shows a problem at the field that it is about, and a conflict that
// names none at the given field; what is to be confirmed it shows as that. It
// returns false if the problem is not about the form.
func (f *form) refused(err error, conflict string) bool {
	var p *svcauth.Problem
	if !errors.As(err, &p) {
		return false
	}
	if f.Errors == nil {
		f.Errors = map[string]string{}
	}
	for name, values := range f.Values { // a form comes back as it was sent, save what looks like a client secret
		if slices.ContainsFunc(values, untrusted.HoldsSecret) {
			f.Values.Del(name)
		}
	}
	f.Warnings = p.Warnings()
	for _, e := range p.Errors {
		if e.Location == svcauth.LocationStrict {
			continue
		}
		name := e.Location[strings.LastIndexByte(e.Location, '.')+1:]
		name, _, _ = strings.Cut(name, "[")
		f.Errors[name] = e.Message
	}
	switch p.Code {
	case svcauth.CodeInvalid:
		if len(p.Errors) == 0 {
			f.Problem = p.Detail
		}
	case svcauth.CodeConflict:
		if len(p.Errors) > 0 {
			break
		}
		if conflict == "" {
			f.Problem = p.Detail
		} else {
			f.Errors[conflict] = p.Detail
		}
	case svcauth.CodeMissingPrivileges, svcauth.CodeForbidden, svcauth.CodeTooMany:
		f.Problem = p.Detail
	default:
		return false
	}
	return true
}

// fail records what is wrong with a field.
func (f *form) fail(name, message string) {
	if f.Errors == nil {
		f.Errors = map[string]string{}
	}
	f.Errors[name] = message
}

// stale reports whether err means that somebody else made a change first.
func stale(err error) bool {
	var p *svcauth.Problem
	return errors.As(err, &p) && p.Code == svcauth.CodePreconditionFailed
}

// moved records what somebody else has changed the fields to meanwhile.
func (f *form) moved(now *form) {
	f.Theirs = map[string]string{}
	for name, values := range now.Values {
		if name != "version" && f.Values.Get(name) != values[0] {
			f.Theirs[name] = values[0]
			if values[0] == "" {
				f.Theirs[name] = "(empty)"
			}
		}
	}
	f.Values.Set("version", now.Value("version"))
	f.Problem = "Somebody else has changed this while you were editing it, so nothing was saved. " +
		"Their values stand below yours: save again to replace them, or cancel to keep them."
}

// version reads the version that the form was made from.
func (f *form) version() (int64, error) {
	n, err := strconv.ParseInt(f.Value("version"), 10, 64)
	if err != nil || n < 1 {
		return 0, svcauth.NewProblem(svcauth.CodeMalformed,
			"This form is incomplete. Go back, reload the page and send it again.")
	}
	return n, nil
}

// rename moves an error to the field as the form calls it.
func (f *form) rename(from, to string) {
	if message, ok := f.Errors[from]; ok {
		delete(f.Errors, from)
		f.Errors[to] = message
	}
}

// status is the HTTP status of a refused form.
func (f *form) status() int {
	if len(f.Errors) > 0 || f.Problem != "" || len(f.Warnings) > 0 {
		return http.StatusUnprocessableEntity
	}
	return http.StatusOK
}

// dateTime reads an optional field of type datetime-local, in UTC.
func (f *form) dateTime(name string) *time.Time {
	text := strings.TrimSpace(f.Value(name))
	if text == "" {
		return nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.Parse(layout, text); err == nil {
			return &t
		}
	}
	f.fail(name, "Expected a date and a time in UTC, such as 2030-01-31T12:00.")
	return nil
}

// fieldTime writes a moment for a field of type datetime-local.
func fieldTime(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04")
}

// first reports whether this form is sent for the first time. Reloading a page
// sends its form again, but the answer is shown only once.
func (v *visit) first() (bool, error) {
	token := v.PostForm("once")
	if len(token) < 20 || len(token) > 40 {
		return false, svcauth.NewProblem(svcauth.CodeMalformed,
			"This form is incomplete. Go back, reload the page and send it again.")
	}
	// The token counts for this member only: nobody can use up another
	// member's.
	first, err := v.k.cfg.Once(v.ctx(), v.member.ID+" "+token, v.k.cfg.Clock().Add(v.k.cfg.SessionLifetime))
	return first, away.Problem(away.Database, away.Unchanged, err)
}

// trimmed returns a value without the white space around it.
func (f *form) trimmed(name string) string { return strings.TrimSpace(f.Value(name)) }

// keySet reads the optional field jwks.
func (f *form) keySet() json.RawMessage {
	text := f.trimmed("jwks")
	switch {
	case text == "":
		return nil
	case !json.Valid([]byte(text)):
		f.fail("jwks", "Expected JSON: an object that begins with { and ends with }.")
		return nil
	}
	return json.RawMessage(text)
}

// number reads a field that holds a whole number; empty is 0.
func (f *form) number(name string) int {
	text := f.trimmed(name)
	if text == "" {
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 0 {
		f.fail(name, "Expected a whole number of seconds.")
	}
	return n
}

// words returns the words of a field, however they are separated; nil: none.
func (f *form) words(name string) []string {
	all := strings.FieldsFunc(f.Value(name), func(r rune) bool { return r == ',' || unicode.IsSpace(r) })
	if len(all) == 0 {
		return nil
	}
	return all
}

// claims adds the claims whose fields are not empty.
func (f *form) claims(n *svcauth.NewFederatedCredential, names ...string) {
	for _, name := range names {
		if value := f.trimmed(name); value != "" {
			n.Claims[name] = value
		}
	}
}

// only moves what is wrong with fields that the form does not have to the
// whole.
func (f *form) only(names ...string) {
	for name, message := range f.Errors {
		if !slices.Contains(names, name) {
			delete(f.Errors, name)
			f.Problem = message
		}
	}
}

// Any reports whether one of the fields has something in it, or something
// wrong.
func (f *form) Any(names ...string) bool {
	return slices.ContainsFunc(names, func(name string) bool { return f.Value(name) != "" || f.Error(name) != "" })
}
