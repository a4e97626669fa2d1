package console

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountRoles(g *gin.RouterGroup) {
	g.GET("/roles", k.signedIn(roles))
	g.POST("/roles", k.signedIn(createRole))
	g.GET("/roles/new", k.signedIn(newRole))
	g.GET("/roles/:id", k.signedIn(role))
	g.POST("/roles/:id", k.signedIn(saveRole))
	g.GET("/roles/:id/delete", k.signedIn(confirmDeleteRole))
	g.POST("/roles/:id/delete", k.signedIn(deleteRole))
}

type rolesData struct {
	List   list[svcauth.Role]
	Manage bool
}

func roles(v *visit) error {
	l, err := read(v, v.k.cfg.Access.Roles, func(r svcauth.Role, q string) bool {
		return contains(q, r.Name, r.Description)
	},
		column[svcauth.Role]{"name", func(r svcauth.Role) string { return r.Name }},
		column[svcauth.Role]{"created", func(r svcauth.Role) string { return sortable(&r.CreatedAt) }})
	if err != nil {
		return err
	}
	return v.render(http.StatusOK, "roles", page{
		Title: "Roles",
		Nav:   "roles",
		Data:  rolesData{l, v.actor.Has(svcauth.RolesManage)},
	})
}

// group is an API with its privileges, as switches.
type group struct {
	API        svcauth.API
	Privileges []svcauth.Privilege
}

type roleData struct {
	Role    svcauth.Role // without an ID: a new one
	Form    *form
	Groups  []group
	Manage  bool
	Locked  bool // nothing can be changed
	Holds   map[string]bool
	Dialog  bool // the question whether to delete it
	Holders access.RoleHolders
}

func (v *visit) rolePage(status int, d roleData) (err error) {
	if d.Groups, err = v.groups(); err != nil {
		return err
	}
	d.Manage = v.actor.Has(svcauth.RolesManage)
	d.Locked = !d.Manage || d.Role.System && d.Role.Name == svcauth.RoleAdministrator
	d.Holds = map[string]bool{}
	for _, p := range v.actor.Privileges {
		d.Holds[p] = true
	}
	title := d.Role.Name
	if d.Role.ID == "" {
		title = "Create a role"
	}
	return v.render(status, "role", page{
		Title:  title,
		Nav:    "roles",
		Parent: &link{"Roles", "/console/roles"},
		Dialog: d.Dialog,
		Data:   d,
	})
}

// groups reads the catalogue: the privileges of each API.
func (v *visit) groups() ([]group, error) {
	apis, err := everything(v.ctx(), v.k.cfg.Access.APIs)
	if err != nil {
		return nil, err
	}
	privileges, err := everything(v.ctx(), v.k.cfg.Access.Privileges)
	if err != nil {
		return nil, err
	}
	groups := make([]group, len(apis))
	for i, api := range apis {
		groups[i].API = api
		for _, p := range privileges {
			if p.API == api.Audience {
				groups[i].Privileges = append(groups[i].Privileges, p)
			}
		}
	}
	return slices.DeleteFunc(groups, func(g group) bool { return len(g.Privileges) == 0 }), nil
}

func newRole(v *visit) error { return v.rolePage(http.StatusOK, roleData{Form: blank()}) }

func createRole(v *visit) error {
	f := v.form()
	made, err := v.k.cfg.Access.CreateRole(v.ctx(), svcauth.NewRole{
		Name:        f.Value("name"),
		Description: f.Value("description"),
		Privileges:  f.Values["privileges"],

		RequiresBinding: f.Value("requires_binding") == "yes",
	})
	if err == nil {
		return v.done("/console/roles/"+made.ID,
			"The role %s is created. Assign it to members or service accounts on their tab Granted roles.", made.Name)
	}
	if !f.refused(err, "name") {
		return err
	}
	return v.rolePage(f.status(), roleData{Form: f})
}

func roleForm(r svcauth.Role) *form {
	f := filled("name", r.Name, "description", r.Description, "version", strconv.FormatInt(r.Version, 10))
	f.Values["privileges"] = r.Privileges
	if r.RequiresBinding {
		f.Values.Set("requires_binding", "yes")
	}
	return f
}

func role(v *visit) error {
	r, err := v.k.cfg.Access.Role(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	return v.rolePage(http.StatusOK, roleData{Role: r, Form: roleForm(r)})
}

func saveRole(v *visit) error {
	f, id := v.form(), v.Param("id")
	version, err := f.version()
	if err != nil {
		return err
	}
	r, err := v.k.cfg.Access.Role(v.ctx(), id)
	if err != nil {
		return err
	}
	privileges := append([]string{}, f.Values["privileges"]...)
	binding := f.Value("requires_binding") == "yes"
	patch := svcauth.RolePatch{Privileges: &privileges, RequiresBinding: &binding, Caution: f.caution()}
	if !r.System {
		name, description := f.Value("name"), f.Value("description")
		patch.Name, patch.Description = &name, &description
	}
	saved, err := v.k.cfg.Access.UpdateRole(v.ctx(), id, version, patch)
	if err == nil {
		return v.done("/console/roles/"+id, "Saved. Tokens that carry what was taken off this role no longer work.%s",
			keptSecrets(saved))
	}
	if stale(err) {
		if r, err = v.k.cfg.Access.Role(v.ctx(), id); err != nil {
			return err
		}
		now := roleForm(r)
		delete(now.Values, "privileges")
		delete(now.Values, "requires_binding")
		f.moved(now)
		f.Theirs["privileges"] = switched(f.Values["privileges"], r.Privileges)
		if binding != r.RequiresBinding {
			f.Theirs["requires_binding"] = onOff(r.RequiresBinding)
		}
		return v.rolePage(http.StatusConflict, roleData{Role: r, Form: f})
	}
	if !f.refused(err, "name") {
		return err
	}
	return v.rolePage(f.status(), roleData{Role: r, Form: f})
}

// keptSecrets names the credentials that can use what was just added to a role
// although their makers don't hold it.
func keptSecrets(r svcauth.Role) (text string) {
	const named = 3
	for _, w := range r.Warnings[:min(named, len(r.Warnings))] {
		text += " " + w.String()
	}
	if more := len(r.Warnings) - named + r.MoreWarnings; more > 0 {
		text += fmt.Sprintf(" The same holds for %d further credentials; the pages of the accounts name them.", more)
	}
	return text + withoutDefault(r.DefaultRefused)
}

// withoutDefault names accounts that get no token any more without scope and
// resource.
func withoutDefault(warnings []svcauth.DefaultWarning) (text string) {
	const named = 3
	for _, w := range warnings[:min(named, len(warnings))] {
		text += " " + w.String()
	}
	return text
}

// switched names the switches in which a form differs from what is saved now.
func switched(typed, saved []string) (text string) {
	for _, p := range saved {
		if !slices.Contains(typed, p) {
			text += p + " is on, "
		}
	}
	for _, p := range typed {
		if !slices.Contains(saved, p) {
			text += p + " is off, "
		}
	}
	if text == "" {
		return ""
	}
	return text[:len(text)-2]
}

func confirmDeleteRole(v *visit) error {
	r, err := v.k.cfg.Access.Role(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	holders, err := v.k.cfg.Access.RoleHolders(v.ctx(), r.ID)
	if err != nil {
		return err
	}
	return v.rolePage(http.StatusOK, roleData{Role: r, Form: roleForm(r), Dialog: true, Holders: holders})
}

func deleteRole(v *visit) error {
	name := v.quoted(v.Param("id"))
	if err := v.k.cfg.Access.DeleteRole(v.ctx(), v.Param("id")); err != nil {
		return err
	}
	return v.removed("/console/roles", "Removed%s. Tokens that carry it no longer work.", name)
}
