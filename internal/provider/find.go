package provider

import (
	"context"
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// notFoundError says that nothing has the name. It is not the server's word on an id.
type notFoundError struct{ what string }

func (e *notFoundError) Error() string { return "there is no " + e.what + " in this organization" }

// accountNamed finds a service account by its exact name.
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

// account finds one by id or name.
func account(ctx context.Context, client *svcauth.Client, ref string) (svcauth.ServiceAccount, error) {
	if svcauth.ValidID(svcauth.PrefixServiceAccount, ref) {
		return client.ServiceAccount(ctx, ref)
	}
	return accountNamed(ctx, client, ref)
}

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

// role finds one by id or exact name.
func role(ctx context.Context, client *svcauth.Client, ref string) (svcauth.Role, error) {
	if svcauth.ValidID(svcauth.PrefixRole, ref) {
		return client.Role(ctx, ref)
	}
	return roleNamed(ctx, client, ref)
}

// roleNamed finds a role by its exact name.
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

// member finds one by id or address. Addresses are compared without regard to case, as the server does.
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

// pair takes an import id "a/b" apart.
func pair(id, form string) (first, second string, err error) {
	first, second, ok := strings.Cut(id, "/")
	if !ok || first == "" || second == "" {
		return "", "", fmt.Errorf("expected an import id of the form %s", form)
	}
	return first, second, nil
}
