package console

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountOperations(g *gin.RouterGroup) {
	g.GET("/audit-log", k.signedIn(auditLog))
	g.GET("/signing-keys", k.signedIn(signingKeys("")))
	g.GET("/signing-keys/rotate", k.signedIn(signingKeys("rotate")))
	g.POST("/signing-keys/rotate", k.signedIn(rotateSigningKeys))
	g.GET("/signing-keys/:kid/revoke", k.signedIn(signingKeys("revoke")))
	g.POST("/signing-keys/:kid/revoke", k.signedIn(revokeSigningKey))
	g.GET("/resource-servers", k.signedIn(resourceServers))
	g.GET("/organizations", k.signedIn(organizations))
}

type auditData struct {
	Form    *form
	Events  []svcauth.AuditEvent
	Actions []string // that are on this page, to choose from
	More    string
	Back    string
	Narrow  bool // a filter is set
}

// auditLog filters by the links in its rows and by what was typed.
func auditLog(v *visit) error {
	q := v.Request.URL.Query()
	f := &form{Values: url.Values{}}
	for _, name := range []string{"actor", "target", "action", "since", "until"} {
		if text := strings.TrimSpace(q.Get(name)); text != "" {
			f.Values.Set(name, text)
		}
	}
	d := auditData{Form: f, Narrow: len(f.Values) > 0}
	filter := svcauth.AuditFilter{Actor: f.Value("actor"), Target: f.Value("target"), Action: f.Value("action")}
	filter.Cursor = q.Get("cursor")
	if t := f.dateTime("since"); t != nil {
		filter.Since = *t
	}
	if t := f.dateTime("until"); t != nil {
		filter.Until = *t
	}
	if len(f.Errors) == 0 {
		events, err := v.k.cfg.Access.AuditEvents(v.ctx(), filter)
		var refused *svcauth.Problem
		if err != nil && (!errors.As(err, &refused) || refused.Code != svcauth.CodeInvalid || !f.refused(err, "")) {
			return err
		}
		d.Events = events.Items
		if events.NextCursor != nil {
			next := cloned(f.Values)
			next.Set("cursor", *events.NextCursor)
			d.More = "/console/audit-log?" + next.Encode()
		}
		if filter.Cursor != "" {
			d.Back = "/console/audit-log?" + f.Values.Encode()
		}
	}
	for _, e := range d.Events {
		d.Actions = append(d.Actions, e.Action)
	}
	slices.Sort(d.Actions)
	d.Actions = slices.Compact(d.Actions)
	return v.render(f.status(), "auditlog", page{Title: "Audit log", Nav: "audit-log", Data: d})
}

func cloned(values url.Values) url.Values {
	c := url.Values{}
	for k, v := range values {
		c[k] = slices.Clone(v)
	}
	return c
}

type signingData struct {
	Keys   []svcauth.SigningKey
	Dialog string
	Key    svcauth.SigningKey // that the dialog is about
}

func signingKeys(dialog string) func(*visit) error {
	return func(v *visit) error {
		keys, err := v.k.cfg.Access.SigningKeys(v.ctx(), svcauth.ListOptions{Limit: svcauth.MaxPageSize})
		if err != nil {
			return err
		}
		d := signingData{Keys: keys.Items, Dialog: dialog}
		if at := slices.IndexFunc(d.Keys, func(k svcauth.SigningKey) bool { return k.KID == v.Param("kid") }); at >= 0 {
			d.Key = d.Keys[at]
		} else if dialog == "revoke" {
			return v.redirect("/console/signing-keys")
		}
		return v.render(http.StatusOK, "signingkeys", page{
			Title:  "Signing keys",
			Nav:    "signing-keys",
			Dialog: dialog != "",
			Data:   d,
		})
	}
}

func rotateSigningKeys(v *visit) error {
	first, err := v.first()
	if err != nil {
		return err
	}
	if first {
		if _, err := v.k.cfg.Access.RotateSigningKeys(v.ctx()); err != nil {
			return err
		}
	}
	return v.done("/console/signing-keys",
		"The signing keys were rotated. The old one still verifies until its last token has expired.")
}

func revokeSigningKey(v *visit) error {
	warning, err := v.k.cfg.Access.RevokeSigningKey(v.ctx(), v.Param("kid"))
	if err != nil {
		return err
	}
	return v.removed("/console/signing-keys", "The key is revoked. %s", warning)
}

type serversData struct {
	Servers []svcauth.ResourceServer
	Allowed bool
	Taken   time.Time
}

func resourceServers(v *visit) error {
	d := serversData{Allowed: true, Taken: v.k.cfg.Clock()}
	list := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.ResourceServer], error) {
		return v.k.cfg.Access.ResourceServers(ctx, o, v.k.cfg.ResourceServers)
	}
	servers, err := everything(v.ctx(), list)
	var problem *svcauth.Problem
	switch {
	case errors.As(err, &problem) && problem.Code == svcauth.CodeMissingPrivileges:
		d.Allowed = false // the page says what it needs
	case err != nil:
		return err
	}
	d.Servers = servers
	return v.render(http.StatusOK, "resourceservers", page{Title: "Resource servers", Nav: "resource-servers", Data: d})
}

func organizations(v *visit) error {
	l, err := read(v, v.k.cfg.Access.Organizations, func(o svcauth.Organization, q string) bool {
		return contains(q, o.Name, o.ID)
	},
		column[svcauth.Organization]{"name", func(o svcauth.Organization) string { return o.Name }},
		column[svcauth.Organization]{"created", func(o svcauth.Organization) string { return sortable(&o.CreatedAt) }})
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "organizations", page{
		Title: "Organizations",
		Nav:   "organizations",
		Data:  struct{ List list[svcauth.Organization] }{l},
	})
}
