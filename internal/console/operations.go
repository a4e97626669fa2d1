package console

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountOperations(g *gin.RouterGroup) {
	g.GET("/audit-log", k.signedIn(auditLog))
	g.GET("/audit-log/export", k.signedIn(exportAuditLog))
	g.GET("/signing-keys", k.signedIn(signingKeys("")))
	g.GET("/signing-keys/rotate", k.signedIn(signingKeys("rotate")))
	g.POST("/signing-keys/rotate", k.signedIn(rotateSigningKeys))
	g.GET("/signing-keys/:kid/revoke", k.signedIn(signingKeys("revoke")))
	g.POST("/signing-keys/:kid/revoke", k.signedIn(revokeSigningKey))
	g.GET("/resource-servers", k.signedIn(resourceServers))
	g.GET("/apis", k.signedIn(catalog))
}

type signingData struct {
	Keys   []svcauth.SigningKey // by algorithm
	InUse  []string             // the algorithms whose keys can be rotated, for that dialog
	Dialog string
	Key    svcauth.SigningKey // that the dialog is about
}

// newSigningData sorts the keys by algorithm, those of one newest first.
func newSigningData(keys []svcauth.SigningKey, dialog string) signingData {
	d := signingData{Keys: keys, Dialog: dialog}
	slices.SortStableFunc(d.Keys, func(a, b svcauth.SigningKey) int { return cmp.Compare(a.Algorithm, b.Algorithm) })
	return d
}

func signingKeys(dialog string) func(*visit) error {
	return func(v *visit) error {
		keys, err := v.k.cfg.Access.SigningKeys(v.ctx(), svcauth.ListOptions{Limit: svcauth.MaxPageSize})
		if err != nil {
			return err
		}
		d := newSigningData(keys.Items, dialog)
		if dialog == "rotate" {
			if d.InUse, err = v.k.cfg.Access.SigningAlgorithms(v.ctx()); err != nil {
				return err
			}
		}
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
		which := svcauth.KeyRotation{Algorithm: v.PostForm("algorithm")}
		if _, err := v.k.cfg.Access.RotateSigningKeys(v.ctx(), which); err != nil {
			return err
		}
	}
	return v.done("/console/signing-keys",
		"The signing keys were rotated. The old ones still verify until the last token of each has expired.")
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

// Unchecking returns the names of those that are not known to check what
// tokens are bound to. Each stands once, however many processes it has.
func (d serversData) Unchecking() (names []string) {
	for _, s := range d.Servers {
		if !s.ChecksBindings {
			names = append(names, cmp.Or(s.Name, s.ClientID))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names)))
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
