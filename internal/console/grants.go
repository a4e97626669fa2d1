package console

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountGrants(g *gin.RouterGroup) {
	const roles = "/service-accounts/:id/roles"
	g.GET(roles, k.signedIn(grants))
	g.POST(roles, k.signedIn(assignRole))
	g.GET(roles+"/:role/unassign", k.signedIn(confirmUnassign))
	g.POST(roles+"/:role/unassign", k.signedIn(unassignRole))
}

func (v *visit) grants(a svcauth.ServiceAccount) ([]svcauth.Grant, error) {
	return everything(v.ctx(), func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.Grant], error) {
		return v.k.cfg.Access.ServiceAccountRoles(ctx, a.ID, o)
	})
}

// assignable returns the roles that a principal doesn't hold yet, by name.
func (v *visit) assignable(held []svcauth.Grant) ([]svcauth.Role, error) {
	if !v.actor.Has(svcauth.MembersManage) {
		return nil, nil
	}
	roles, err := everything(v.ctx(), v.k.cfg.Access.Roles)
	if err != nil {
		return nil, err
	}
	roles = slices.DeleteFunc(roles, func(r svcauth.Role) bool {
		return r.System && r.Name == svcauth.RolePublic ||
			slices.ContainsFunc(held, func(g svcauth.Grant) bool { return g.RoleID == r.ID })
	})
	slices.SortFunc(roles, func(a, b svcauth.Role) int {
		return strings.Compare(strings.ToLower(a.Name), strings.ToLower(b.Name))
	})
	return roles, nil
}

func (v *visit) grantsPage(status int, a svcauth.ServiceAccount, d accountData) (err error) {
	d.Account, d.Tab = a, "roles"
	if d.Form == nil {
		d.Form = blank()
	}
	if d.Grants, err = v.grants(a); err != nil {
		return err
	}
	if d.Assignable, err = v.assignable(d.Grants); err != nil {
		return err
	}
	return v.accountPage(status, d)
}

func grants(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.grantsPage(http.StatusOK, a, accountData{})
}

func assignRole(v *visit) error {
	f := v.form()
	a, err := v.account()
	if err != nil {
		return err
	}
	answer, ok, err := v.assigned(f, a.ID, v.k.cfg.Access.AssignServiceAccountRole)
	switch {
	case err != nil:
		return err
	case ok:
		return v.done("/console/service-accounts/"+a.ID+"/roles", "Assigned%s. It takes effect with the next token.%s",
			v.quoted(f.Value("role")), withoutDefault(answer.DefaultRefused))
	}
	return v.grantsPage(f.status(), a, accountData{Form: f})
}

// assigned makes the grant that a form asks for, and reports whether it did,
// with what is to be said of it; if not, the form says why.
func (v *visit) assigned(
	f *form, principalID string,
	assign func(ctx context.Context, id, roleID string, r svcauth.GrantRequest) (svcauth.GrantAnswer, error),
) (answer svcauth.GrantAnswer, ok bool, err error) {
	expires := f.dateTime("expires_at")
	if f.Value("role") == "" {
		f.fail("role", "Choose a role first.")
	}
	if len(f.Errors) > 0 {
		return answer, false, nil
	}
	answer, err = assign(v.ctx(), principalID, f.Value("role"), svcauth.GrantRequest{
		ExpiresAt: expires, Caution: f.caution(),
	})
	if err != nil && f.refused(err, "role") {
		return answer, false, nil
	}
	return answer, err == nil, err
}

// quoted returns a role's name for a message, or nothing if it can't be read.
func (v *visit) quoted(roleID string) string {
	role, err := v.k.cfg.Access.Role(v.ctx(), roleID)
	if err != nil {
		return ""
	}
	return " the role " + role.Name
}

func confirmUnassign(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	held, err := v.grants(a)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(held, func(g svcauth.Grant) bool { return g.RoleID == v.Param("role") })
	if at < 0 {
		return v.redirect("/console/service-accounts/" + a.ID + "/roles")
	}
	hit, err := v.k.cfg.Access.ServiceAccountImpact(v.ctx(), a.ID, "", held[at].Name)
	if err != nil {
		return err
	}
	return v.grantsPage(http.StatusOK, a, accountData{Dialog: "unassign", Grant: held[at], Impact: hit})
}

func unassignRole(v *visit) error {
	name := v.quoted(v.Param("role"))
	if err := v.k.cfg.Access.UnassignServiceAccountRole(v.ctx(), v.Param("id"), v.Param("role"), ""); err != nil {
		return err
	}
	return v.removed("/console/service-accounts/"+v.Param("id")+"/roles",
		"Unassigned%s. Tokens that carry it no longer work.", name)
}
