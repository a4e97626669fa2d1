package console

import (
	"net/http"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// catalogAPI is an API of the catalogue with what its tokens look like.
type catalogAPI struct {
	svcauth.API
	Form       svcauth.Profile // what the profile comes to
	Privileges []svcauth.Privilege
}

// FixedClaims returns those of the profile, as JSON.
func (a catalogAPI) FixedClaims() string { return claimsField(a.Form.Claims) }

// newCatalog sorts the privileges to their APIs.
func newCatalog(
	apis []svcauth.API, privileges []svcauth.Privilege, form func(svcauth.API) svcauth.Profile,
) []catalogAPI {
	all := make([]catalogAPI, len(apis))
	for i, a := range apis {
		all[i] = catalogAPI{API: a, Form: form(a)}
		for _, p := range privileges {
			if p.API == a.Audience {
				all[i].Privileges = append(all[i].Privileges, p)
			}
		}
	}
	return all
}

// catalog shows what tokens can be for. Every member may see it, as at /v1.
func catalog(v *visit) error {
	apis, err := everything(v.ctx(), v.k.cfg.Access.APIs)
	if err != nil {
		return err
	}
	privileges, err := everything(v.ctx(), v.k.cfg.Access.Privileges)
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "catalogue", page{
		Title: "APIs",
		Nav:   "catalogue",
		Data:  newCatalog(apis, privileges, v.k.cfg.Token.Form),
	})
}
