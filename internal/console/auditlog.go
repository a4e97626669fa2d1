package console

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const pathAudit = "/console/audit-log"

type auditData struct {
	Form    *form
	Events  []svcauth.AuditEvent
	Actions []string // to choose from
	More    string
	Back    string
	CSV     string // addresses of what is shown, whole, as a file
	Lines   string
	Narrow  bool // a filter is set
}

// auditPages is how many pages are read, at most, to find some that fit a
// filter.
const auditPages = 10

// auditLog filters by the links in its rows and by what was typed.
func auditLog(v *visit) error {
	f, filter := auditForm(v.Request.URL.Query())
	d := auditData{Form: f, Narrow: len(f.Values) > 0, Actions: auditWords()}
	filter.Cursor = v.Request.URL.Query().Get("cursor")
	first := filter.Cursor == ""
	var events svcauth.List[svcauth.AuditEvent]
	for range auditPages {
		if len(f.Errors) > 0 {
			break
		}
		var err error
		if events, err = v.k.cfg.Access.AuditEvents(v.ctx(), filter); err != nil {
			if !auditRefused(f, err) {
				return err
			}
			break
		}
		if len(events.Items) > 0 || events.NextCursor == nil {
			break
		}
		filter.Cursor = *events.NextCursor
	}
	d.Events = events.Items
	if events.NextCursor != nil {
		d.More = auditAddress("", f.Values, "cursor", *events.NextCursor)
	}
	if !first {
		d.Back = auditAddress("", f.Values)
	}
	d.CSV = auditAddress("/export", f.Values, "format", "csv")
	d.Lines = auditAddress("/export", f.Values, "format", "json-lines")
	return v.render(f.status(), "auditlog", page{Title: "Audit log", Nav: "audit-log", Data: d})
}

// auditForm reads the filter from the page's address.
func auditForm(q url.Values) (*form, svcauth.AuditFilter) {
	f := &form{Values: url.Values{}}
	for _, name := range []string{"actor", "target", "action", "since", "until"} {
		if text := strings.TrimSpace(strings.Join(q[name], ",")); text != "" {
			f.Values.Set(name, text)
		}
	}
	filter := svcauth.AuditFilter{Actor: f.Value("actor"), Target: f.Value("target"), Action: f.Value("action")}
	if t := f.dateTime("since"); t != nil {
		filter.Since = *t
	}
	if t := f.dateTime("until"); t != nil {
		filter.Until = *t
	}
	return f, filter
}

// auditRefused shows what is wrong with a filter. It returns false if the
// filter is not why.
func auditRefused(f *form, err error) bool {
	var refused *svcauth.Problem
	return errors.As(err, &refused) && refused.Code == svcauth.CodeInvalid && f.refused(err, "")
}

// auditWords returns what can be asked for as an action.
func auditWords() []string {
	words := svcauth.AuditActions()
	for _, action := range words {
		noun, _, _ := strings.Cut(action, ".")
		words = append(words, noun+".*")
	}
	slices.Sort(words)
	return slices.Compact(words)
}

// auditAddress returns the address of a page of the audit log: name, value,
// name, value …
func auditAddress(path string, filter url.Values, more ...string) string {
	q := url.Values{}
	for name, values := range filter {
		q[name] = values
	}
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	address := pathAudit + path
	if len(q) > 0 {
		address += "?" + q.Encode()
	}
	return address
}

// exportAuditLog sends the events that fit the filter as a file, newest first.
func exportAuditLog(v *visit) error {
	q := v.Request.URL.Query()
	format, ok := exportFormats[q.Get("format")]
	if !ok {
		return svcauth.InvalidField("query.format", "Expected the format csv or json-lines.")
	}
	f, filter := auditForm(q)
	for _, name := range []string{"since", "until"} {
		if wrong := f.Error(name); wrong != "" {
			return svcauth.InvalidField("query."+name, "%s", wrong)
		}
	}
	filter.Limit = svcauth.MaxPageSize
	first, err := v.k.cfg.Access.AuditEvents(v.ctx(), filter)
	if err != nil {
		return err
	}
	org := v.actor.OrgID
	if !v.k.exports.Take(org, 1, false) {
		p := svcauth.NewProblem(svcauth.CodeTooMany,
			"An export of your organization's audit log is under way already, or too many others are. "+
				"Wait until it is done, or use svcauth audit export.")
		p.RetryAfter = exportRetry
		return p
	}
	defer v.k.exports.Give(org, 1)
	if err := v.commit(); err != nil {
		return err
	}
	name := "audit-log-" + v.k.cfg.Clock().UTC().Format("2006-01-02T150405Z") + format.suffix
	v.Header("Content-Type", format.media)
	v.Header("Content-Disposition", `attachment; filename="`+name+`"`)
	v.Header("X-Accel-Buffering", "no")
	v.Status(http.StatusOK)
	v.export(format, filter, first)
	return nil
}
