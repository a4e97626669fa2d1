package main

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func roleCommand() *cobra.Command {
	return noun("role", "Roles: named sets of privileges, for members and service accounts alike", []string{"roles"},
		listRoles(), getRole(), createRole(), updateRole(), deleteRole())
}

var aboutRoles = map[string]choices{
	"ROLE":             roleChoices,
	"privilege":        privilegeChoices,
	"add-privilege":    privilegeChoices,
	"remove-privilege": privilegeChoices,
}

func listRoles() *cobra.Command {
	return listing[svcauth.Role]{
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List roles",
			example: []string{"svcauth role list", "svcauth role list --all -o json"},
		},
		page: func(ctx context.Context, s *session, _ []string, o svcauth.ListOptions) (svcauth.List[svcauth.Role],
			error) {
			return s.client.Roles(ctx, o)
		},
		columns: func(*session) []column[svcauth.Role] {
			return []column[svcauth.Role]{
				{title: "NAME", cell: func(r svcauth.Role) string { return r.Name }},
				{title: "ID", whole: true, cell: func(r svcauth.Role) string { return r.ID }},
				{title: "MEMBERS", whole: true, cell: func(r svcauth.Role) string { return strconv.Itoa(r.Members) }},
				{
					title: "ACCOUNTS",
					whole: true,
					cell:  func(r svcauth.Role) string { return strconv.Itoa(r.ServiceAccounts) },
				},
				{title: "PRIVILEGES", cell: func(r svcauth.Role) string { return strings.Join(r.Privileges, " ") }},
				{
					title: "DESCRIPTION",
					wide:  true,
					cell:  func(r svcauth.Role) string { return orElse(r.Description, "-") },
				},
			}
		},
		none: "No roles. Make one: svcauth role create NAME --privilege PRIVILEGE",
	}.command()
}

func getRole() *cobra.Command {
	return verb{
		use:     "get ROLE",
		short:   "Show one role, by id or name",
		choices: aboutRoles,
		example: []string{`svcauth role get "Cluster viewer"`},
		run: func(ctx context.Context, s *session, args []string) error {
			role, err := s.role(ctx, args[0])
			if err != nil {
				return err
			}
			return s.showRole(role)
		},
	}.command()
}

func (s *session) showRole(r svcauth.Role) error {
	kind := "custom"
	if r.System {
		kind = "system"
	}
	err := s.show(r, value("Name", r.Name), value("ID", r.ID), value("Description", r.Description), value("Kind", kind),
		value("Privileges", r.Privileges...),
		value("Requires binding", strconv.FormatBool(r.RequiresBinding)),
		value("Held by", counted(r.Members, "member")+", "+counted(r.ServiceAccounts, "service account")),
		value("Created", stamp(s.now(), &r.CreatedAt, "")))
	if err == nil {
		s.reportEnforcement(r.Enforcement)
	}
	return err
}

func createRole() *cobra.Command {
	var body svcauth.NewRole
	return verb{
		use:     "create NAME",
		short:   "Create a role",
		choices: aboutRoles,
		long:    "One can put on it only privileges that one holds. 'svcauth privilege list' shows all there are.",
		example: []string{`svcauth role create "Cluster editor" --privilege clusters:view --privilege clusters:edit`},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&body.Description, "description", "", "what it is for")
			flags.BoolVar(&body.RequiresBinding, "requires-binding", false, aboutRequiresBinding)
			flags.Var((*wordList)(&body.Privileges), "privilege",
				"privilege that it gives; may be repeated, or several with commas")
		},
		run: func(ctx context.Context, s *session, args []string) error {
			body.Name = args[0]
			role, err := s.client.CreateRole(ctx, body)
			if err != nil {
				return err
			}
			return s.showRole(role)
		},
	}.command()
}

// roleChange holds the flags of role update.
type roleChange struct {
	removal
	name, description string
	set, add, remove  []string
	binding           bool
}

// aboutRequiresBinding is the help of --requires-binding.
const aboutRequiresBinding = "give it by bound tokens only (DPoP, or a client certificate)"

func (r *roleChange) flags(flags *pflag.FlagSet) {
	r.removal.flags(flags)
	flags.StringVar(&r.name, "name", "", "new name; live tokens that carry the role die")
	flags.StringVar(&r.description, "description", "", "new description")
	flags.BoolVar(&r.binding, "requires-binding", false, aboutRequiresBinding+
		"; ends at once the tokens that carry it and are not bound")
	flags.Var((*wordList)(&r.set), "privilege", "its privileges from now on, instead of those it has; may be repeated")
	flags.Var((*wordList)(&r.add), "add-privilege", "privilege to add; may be repeated")
	flags.Var((*wordList)(&r.remove), "remove-privilege", "privilege to take away; may be repeated")
}

func updateRole() *cobra.Command {
	r := &roleChange{}
	return verb{use: "update ROLE", short: "Change a role's name, description or privileges", choices: aboutRoles,
		long: "Live tokens that carry the role and a privilege that it loses die at once; " +
			"adding one kills none, and live tokens do not get it. " + asksFirst,
		example: []string{`svcauth role update "Cluster viewer" --add-privilege alarms:view`,
			`svcauth role update "Cluster operator" --remove-privilege clusters:edit --yes`},
		flags: r.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			patch := svcauth.RolePatch{
				Name:        s.given("name", &r.name),
				Description: s.given("description", &r.description),
			}
			if s.command.Flags().Changed("requires-binding") {
				patch.RequiresBinding = &r.binding
			}
			replaces := s.command.Flags().Changed("privilege")
			switch {
			case replaces && len(r.add)+len(r.remove) > 0:
				return wrongUsage("--privilege sets all, so it goes without --add-privilege and --remove-privilege")
			case !replaces && len(r.add)+len(r.remove) == 0 && patch == (svcauth.RolePatch{}):
				return wrongUsage("nothing to change: give --name, --description, --requires-binding, " +
					"--privilege, --add-privilege or --remove-privilege")
			}
			role, err := s.role(ctx, args[0])
			if err != nil {
				return err
			}
			after, err := r.privileges(role, replaces)
			if err != nil {
				return err
			}
			if !slices.Equal(after, role.Privileges) {
				patch.Privileges = &after
			}
			if err := r.ask(ctx, s, role, patch); err != nil {
				return err
			}
			if err := r.cautiously(ctx, s, func(c svcauth.Caution) error {
				patch.Caution = c
				changed, err := s.client.UpdateRole(ctx, role.ID, role.Version, patch, r.wait)
				if err == nil {
					role = changed
				}
				return err
			}); err != nil {
				return err
			}
			s.warn(role.Warnings, role.MoreWarnings)
			s.warnOfDefault(role.DefaultRefused)
			return s.showRole(role)
		}}.command()
}

// privileges returns the privileges that the role shall have, sorted.
func (r *roleChange) privileges(role svcauth.Role, replaces bool) ([]string, error) {
	after := slices.Concat(role.Privileges, r.add)
	if replaces {
		after = append([]string{}, r.set...) // none is [], for null would mean 'as they are'
	}
	for _, privilege := range r.remove {
		if !slices.Contains(role.Privileges, privilege) {
			return nil, fmt.Errorf("role \"%s\" does not have %s, so it can't be taken away; "+
				"'svcauth role get %s' shows what it has", clean(role.Name), clean(privilege), role.ID)
		}
	}
	after = slices.DeleteFunc(after, func(privilege string) bool { return slices.Contains(r.remove, privilege) })
	slices.Sort(after)
	return slices.Compact(after), nil
}

// ask confirms a change that revokes tokens.
func (r *roleChange) ask(ctx context.Context, s *session, role svcauth.Role, patch svcauth.RolePatch) error {
	var losses []string
	if patch.Name != nil && *patch.Name != role.Name {
		losses = append(losses, "rename it: every live token that carries it dies at once")
	}
	if patch.Privileges != nil {
		for _, privilege := range role.Privileges {
			if !slices.Contains(*patch.Privileges, privilege) {
				losses = append(losses, "take away "+privilege+": live tokens with it die at once")
			}
		}
	}
	if len(losses) == 0 {
		return nil
	}
	return r.confirm(ctx, s, func() (string, error) {
		return fmt.Sprintf("Change role \"%s\", held by %s and %s? This will %s.", clean(role.Name),
			counted(role.Members, "member"), counted(role.ServiceAccounts, "service account"),
			strings.Join(losses, "; ")), nil
	})
}

func deleteRole() *cobra.Command {
	var t removal
	return verb{
		use:     "remove ROLE",
		aliases: []string{"delete", "rm"},
		short:   "Remove a role and take it from all who hold it; tokens that carry it die at once",
		choices: aboutRoles,
		example: []string{`svcauth role remove "Cluster viewer" --yes`},
		flags:   t.flags,
		run: func(ctx context.Context, s *session, args []string) error {
			id, err := s.roleID(ctx, args[0])
			if err != nil {
				return err
			}
			if err := t.confirm(ctx, s, func() (string, error) {
				role, err := s.client.Role(ctx, id)
				return fmt.Sprintf("Remove role \"%s\"? %s and %s lose it, and every live "+
					"token that carries it dies at once.", clean(role.Name),
					counted(role.Members, "member"), counted(role.ServiceAccounts, "service account")), err
			}); err != nil {
				return err
			}
			e, err := s.client.DeleteRole(ctx, id, t.wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Removed role %s.", called(args[0], id))
		},
	}.command()
}
