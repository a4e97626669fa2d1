package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// notFoundError reports that no object has the given name. It is not the
// server's answer about an id.
type notFoundError struct{ what string }

func (e *notFoundError) Error() string { return "there is no " + e.what + " in this organization" }

// list is a method of the client that lists T page by page.
type list[T any] func(context.Context, svcauth.ListOptions) (svcauth.List[T], error)

// first returns the first item that matches. If there is none, its error is a
// [notFoundError] that names what.
func first[T any](
	ctx context.Context, all list[T], o svcauth.ListOptions, what string, matches func(T) bool,
) (none T, err error) {
	for item, err := range svcauth.All(ctx, all, o) {
		if err != nil {
			return none, err
		}
		if matches(item) {
			return item, nil
		}
	}
	return none, &notFoundError{what}
}

// collect returns all items of a list.
func collect[T any](ctx context.Context, all list[T]) (items []T, err error) {
	for item, err := range svcauth.All(ctx, all, svcauth.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		items = append(items, item)
	}
	return items, nil
}

// accountNamed returns the service account with exactly this name.
func accountNamed(ctx context.Context, client *svcauth.Client, name string) (svcauth.ServiceAccount, error) {
	return first(ctx, client.ServiceAccounts, svcauth.ListOptions{Name: name},
		fmt.Sprintf("service account with the name %q", name),
		func(a svcauth.ServiceAccount) bool { return a.Name == name })
}

// account returns the service account with the id or name, as an import names
// it. Names are compared in any case, because they are unique so on the server.
func account(ctx context.Context, client *svcauth.Client, ref string) (svcauth.ServiceAccount, error) {
	if svcauth.ValidID(svcauth.PrefixServiceAccount, ref) {
		return client.ServiceAccount(ctx, ref)
	}
	return first(ctx, client.ServiceAccounts, svcauth.ListOptions{Name: ref},
		fmt.Sprintf("service account with the name %q", ref),
		func(a svcauth.ServiceAccount) bool { return sameName(a.Name, ref) })
}

// sameName compares names as the server does to keep them unique: by their
// lower case, which is not the same as [strings.EqualFold].
func sameName(a, b string) bool { return nameKey(a) == nameKey(b) }

func nameKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// role returns the role with the id or name, compared as in [account].
func role(ctx context.Context, client *svcauth.Client, ref string) (svcauth.Role, error) {
	if svcauth.ValidID(svcauth.PrefixRole, ref) {
		return client.Role(ctx, ref)
	}
	return first(ctx, client.Roles, svcauth.ListOptions{}, fmt.Sprintf("role with the name %q", ref),
		func(r svcauth.Role) bool { return sameName(r.Name, ref) })
}

// roleNamed returns the role with exactly this name.
func roleNamed(ctx context.Context, client *svcauth.Client, name string) (svcauth.Role, error) {
	return first(ctx, client.Roles, svcauth.ListOptions{}, fmt.Sprintf("role with the name %q", name),
		func(r svcauth.Role) bool { return r.Name == name })
}

// member returns the member with the id or address. Addresses are compared in
// any case, as on the server.
func member(ctx context.Context, client *svcauth.Client, ref string) (svcauth.Member, error) {
	if svcauth.ValidID(svcauth.PrefixMember, ref) {
		return client.Member(ctx, ref)
	}
	return first(ctx, client.Members, svcauth.ListOptions{}, fmt.Sprintf("member with the address %q", ref),
		func(m svcauth.Member) bool { return sameEmail(m.Email, ref) })
}

// finder returns the id of the object that ref names.
type finder func(ctx context.Context, client *svcauth.Client, ref string) (id string, err error)

// idOf turns one of the functions above into a finder.
func idOf[T any](find func(context.Context, *svcauth.Client, string) (T, error), id func(T) string) finder {
	return func(ctx context.Context, client *svcauth.Client, ref string) (string, error) {
		found, err := find(ctx, client, ref)
		return id(found), err
	}
}

var (
	accountID = idOf(account, func(a svcauth.ServiceAccount) string { return a.ID })
	roleID    = idOf(role, func(r svcauth.Role) string { return r.ID })
	memberID  = idOf(member, func(m svcauth.Member) string { return m.ID })
)

// importInto looks up the object that an import names, and stores its id in the
// state at each of the attributes.
func (c *connection) importInto(ctx context.Context, req resource.ImportStateRequest,
	resp *resource.ImportStateResponse, what string, find finder, attributes ...string,
) {
	attempted := "Importing " + what + " failed"
	client := c.begin(&resp.Diagnostics, attempted)
	if client == nil {
		return
	}
	id, err := find(ctx, client, req.ID)
	if err != nil {
		c.fail(&resp.Diagnostics, attempted, err)
		return
	}
	for _, name := range attributes {
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(name), id)...)
	}
}

// pair splits an import id "a/b" and finds both objects. Names may contain
// slashes, so it tries every slash: exactly one must have an object on both
// sides.
func pair(ctx context.Context, client *svcauth.Client, id, form string, first, second finder) (a, b string, err error) {
	missing, found := error(nil), 0
	for at := 1; at < len(id)-1; at++ {
		if id[at] != '/' {
			continue
		}
		left, err := first(ctx, client, id[:at])
		var right string
		if err == nil {
			right, err = second(ctx, client, id[at+1:])
		}
		switch none := (*notFoundError)(nil); {
		case err == nil:
			a, b, found = left, right, found+1
		case errors.As(err, &none) || gone(err):
			missing = err
		default:
			return a, b, err
		}
	}
	switch {
	case found == 1:
		return a, b, nil
	case found > 1:
		return a, b, fmt.Errorf("the import id %q can be read in %d ways, for names in it hold slashes: "+
			"give ids instead of names", id, found)
	case missing != nil:
		return a, b, fmt.Errorf("%w (expected an import id of the form %s)", missing, form)
	}
	return a, b, fmt.Errorf("expected an import id of the form %s", form)
}
