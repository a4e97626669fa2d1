package console

import (
	"context"
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountTokens(g *gin.RouterGroup) {
	const tokens = "/service-accounts/:id/tokens"
	g.GET(tokens, k.signedIn(tokensTab))
	g.GET(tokens+"/revoke", k.signedIn(confirmRevoke))
	g.POST(tokens+"/revoke", k.signedIn(revokeTokens))
	g.POST(tokens+"/:jti/revoke", k.signedIn(revokeToken))
}

func (v *visit) tokensPage(d accountData) error {
	l, err := read(v, func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.LiveToken], error) {
		return v.k.cfg.Access.Tokens(ctx, d.Account.ID, o)
	}, func(t svcauth.LiveToken, q string) bool { return contains(q, t.JTI, t.Scope, t.IP, t.UserAgent) },
		column[svcauth.LiveToken]{"issued", func(t svcauth.LiveToken) string { return sortable(&t.IssuedAt) }},
		column[svcauth.LiveToken]{"expires", func(t svcauth.LiveToken) string { return sortable(&t.ExpiresAt) }},
		column[svcauth.LiveToken]{"ip", func(t svcauth.LiveToken) string { return t.IP }})
	if err != nil {
		return err
	}
	l.path = "/console/service-accounts/" + d.Account.ID + "/tokens"
	d.Tab, d.Tokens, d.Hints = "tokens", l, map[string]string{}
	for _, s := range d.Account.Secrets {
		d.Hints[s.ID] = "…" + s.Hint
	}
	for _, kind := range credentialKinds {
		all, err := kind.list(v, d.Account.ID)
		if err != nil {
			return err
		}
		for _, one := range all {
			d.Hints[one.ID] = kind.Name() + " " + one.Title
		}
	}
	return v.accountPage(http.StatusOK, d)
}

func tokensTab(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.tokensPage(accountData{Account: a})
}

func confirmRevoke(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	hit, err := v.k.cfg.Access.ServiceAccountImpact(v.ctx(), a.ID, "", "")
	if err != nil {
		return err
	}
	if hit.Unknown { // the list can't be read either, but all can be revoked without it
		return v.accountPage(http.StatusOK, accountData{Account: a, Dialog: "revoke-all", Impact: hit})
	}
	return v.tokensPage(accountData{Account: a, Dialog: "revoke-all", Impact: hit})
}

func revokeTokens(v *visit) error {
	if err := v.k.cfg.Access.RevokeTokens(v.ctx(), v.Param("id")); err != nil {
		return err
	}
	return v.removed("/console/service-accounts/"+v.Param("id")+"/tokens", "All tokens issued so far are revoked.")
}

func revokeToken(v *visit) error {
	if err := v.k.cfg.Access.RevokeToken(v.ctx(), v.Param("id"), v.Param("jti")); err != nil {
		return err
	}
	return v.removed("/console/service-accounts/"+v.Param("id")+"/tokens", "The token is revoked.")
}
