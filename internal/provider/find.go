package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// notFoundError reports that no object has the given name. It is not the
// server's answer about an id.
type notFoundError struct{ what string }

func (e *notFoundError) Error() string { return "there is no " + e.what + " in this organization" }

// accountNamed returns the service account with exactly this name.
func accountNamed(ctx context.Context, client *svcauth.Client, name string) (svcauth.ServiceAccount, error) {
	pages := func(ctx context.Context, cursor string) (svcauth.List[svcauth.ServiceAccount], error) {
		return client.ServiceAccounts(ctx, svcauth.ListOptions{Cursor: cursor, Name: name, Limit: svcauth.MaxPageSize})
	}
	for account, err := range svcauth.All(ctx, pages) {
		if err != nil {
			return svcauth.ServiceAccount{}, err
		}
		if account.Name == name {
			return account, nil
		}
	}
	return svcauth.ServiceAccount{}, &notFoundError{fmt.Sprintf("service account with the name %q", name)}
}

// account returns the service account with the id or name, as an import names
// it. Names are compared in any case, because they are unique so on the server.
func account(ctx context.Context, client *svcauth.Client, ref string) (svcauth.ServiceAccount, error) {
	if svcauth.ValidID(svcauth.PrefixServiceAccount, ref) {
		return client.ServiceAccount(ctx, ref)
	}
	pages := func(ctx context.Context, cursor string) (svcauth.List[svcauth.ServiceAccount], error) {
		return client.ServiceAccounts(ctx, svcauth.ListOptions{Cursor: cursor, Name: ref, Limit: svcauth.MaxPageSize})
	}
	for account, err := range svcauth.All(ctx, pages) {
		if err != nil {
			return svcauth.ServiceAccount{}, err
		}
		if sameName(account.Name, ref) {
			return account, nil
		}
	}
	return svcauth.ServiceAccount{}, &notFoundError{fmt.Sprintf("service account with the name %q", ref)}
}

// sameName compares names as the server does to keep them unique: by their
// lower case, which is not the same as [strings.EqualFold].
func sameName(a, b string) bool { return nameKey(a) == nameKey(b) }

func nameKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

func allRoles(ctx context.Context, client *svcauth.Client) (roles []svcauth.Role, err error) {
	pages := func(ctx context.Context, cursor string) (svcauth.List[svcauth.Role], error) {
		return client.Roles(ctx, svcauth.ListOptions{Cursor: cursor, Limit: svcauth.MaxPageSize})
	}
	for role, err := range svcauth.All(ctx, pages) {
		if err != nil {
			return nil, err
		}
		roles = append(roles, role)
	}
	return roles, nil
}

// role returns the role with the id or name, compared as in [account].
func role(ctx context.Context, client *svcauth.Client, ref string) (svcauth.Role, error) {
	if svcauth.ValidID(svcauth.PrefixRole, ref) {
		return client.Role(ctx, ref)
	}
	roles, err := allRoles(ctx, client)
	if err != nil {
		return svcauth.Role{}, err
	}
	for _, r := range roles {
		if sameName(r.Name, ref) {
			return r, nil
		}
	}
	return svcauth.Role{}, &notFoundError{fmt.Sprintf("role with the name %q", ref)}
}

// roleNamed returns the role with exactly this name.
func roleNamed(ctx context.Context, client *svcauth.Client, name string) (svcauth.Role, error) {
	roles, err := allRoles(ctx, client)
	if err != nil {
		return svcauth.Role{}, err
	}
	for _, r := range roles {
		if r.Name == name {
			return r, nil
		}
	}
	return svcauth.Role{}, &notFoundError{fmt.Sprintf("role with the name %q", name)}
}

// member returns the member with the id or address. Addresses are compared in
// any case, as on the server.
func member(ctx context.Context, client *svcauth.Client, ref string) (svcauth.Member, error) {
	if svcauth.ValidID(svcauth.PrefixMember, ref) {
		return client.Member(ctx, ref)
	}
	pages := func(ctx context.Context, cursor string) (svcauth.List[svcauth.Member], error) {
		return client.Members(ctx, svcauth.ListOptions{Cursor: cursor, Limit: svcauth.MaxPageSize})
	}
	for m, err := range svcauth.All(ctx, pages) {
		if err != nil {
			return svcauth.Member{}, err
		}
		if sameEmail(m.Email, ref) {
			return m, nil
		}
	}
	return svcauth.Member{}, &notFoundError{fmt.Sprintf("member with the address %q", ref)}
}

// pair splits an import id "a/b" and finds both objects. Names may contain
// slashes, so it tries every slash: exactly one must have an object on both
// sides.
func pair[A, B any](ctx context.Context, client *svcauth.Client, id, form string,
	first func(context.Context, *svcauth.Client, string) (A, error),
	second func(context.Context, *svcauth.Client, string) (B, error)) (a A, b B, err error) {
	missing, found := error(nil), 0
	for at := 1; at < len(id)-1; at++ {
		if id[at] != '/' {
			continue
		}
		left, err := first(ctx, client, id[:at])
		var right B
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
