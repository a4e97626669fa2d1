package main

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// account returns the service account with the id or name.
func (s *session) account(ctx context.Context, idOrName string) (svcauth.ServiceAccount, error) {
	id, err := s.accountID(ctx, idOrName)
	if err != nil {
		return svcauth.ServiceAccount{}, err
	}
	return s.client.ServiceAccount(ctx, id)
}

// accountID returns the id of the service account with the id or name. An id
// needs no request.
func (s *session) accountID(ctx context.Context, idOrName string) (string, error) {
	if svcauth.ValidID(svcauth.PrefixServiceAccount, idOrName) {
		return idOrName, nil
	}
	var near []string
	for account, err := range svcauth.All(ctx, s.client.ServiceAccounts, svcauth.ListOptions{Name: idOrName}) {
		switch {
		case err != nil:
			return "", err
		case account.Name == idOrName:
			return account.ID, nil
		case len(near) < 3:
			near = append(near, account.Name)
		}
	}
	return "", notFound("service account", idOrName, near, "svcauth service-account list")
}

// role returns the role with the id or name.
func (s *session) role(ctx context.Context, idOrName string) (svcauth.Role, error) {
	id, err := s.roleID(ctx, idOrName)
	if err != nil {
		return svcauth.Role{}, err
	}
	return s.client.Role(ctx, id)
}

func (s *session) roleID(ctx context.Context, idOrName string) (string, error) {
	if svcauth.ValidID(svcauth.PrefixRole, idOrName) {
		return idOrName, nil
	}
	return find(svcauth.All(ctx, s.client.Roles, svcauth.ListOptions{}),
		idOrName, "role", "svcauth role list",
		func(r svcauth.Role) (string, string) { return r.ID, r.Name })
}

func (s *session) roleIDs(ctx context.Context, idsOrNames []string) ([]string, error) {
	ids := make([]string, 0, len(idsOrNames))
	for _, one := range idsOrNames {
		id, err := s.roleID(ctx, one)
		if err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// member returns the member with the id or address.
func (s *session) member(ctx context.Context, idOrEmail string) (svcauth.Member, error) {
	id, err := s.memberID(ctx, idOrEmail)
	if err != nil {
		return svcauth.Member{}, err
	}
	return s.client.Member(ctx, id)
}

func (s *session) memberID(ctx context.Context, idOrEmail string) (string, error) {
	if svcauth.ValidID(svcauth.PrefixMember, idOrEmail) {
		return idOrEmail, nil
	}
	return find(svcauth.All(ctx, s.client.Members, svcauth.ListOptions{}),
		emailKey(idOrEmail), "member", "svcauth member list",
		func(m svcauth.Member) (string, string) { return m.ID, emailKey(m.Email) })
}

// called returns what messages call a thing: as it was given, with its id if
// that was a name.
func called(given, id string) string {
	if given == id {
		return id
	}
	return fmt.Sprintf("\"%s\" (%s)", clean(given), id)
}

// audience returns the audience of the API with the audience or name.
func (s *session) audience(ctx context.Context, nameOrAudience string) (string, error) {
	if strings.Contains(nameOrAudience, "://") {
		return nameOrAudience, nil
	}
	return find(svcauth.All(ctx, s.client.APIs, svcauth.ListOptions{}),
		nameOrAudience, "API", "svcauth api list",
		func(a svcauth.API) (string, string) { return a.Audience, a.Name })
}

// find returns the id of the item with this name.
func find[T any](
	all func(func(T, error) bool), name, noun, see string, idAndName func(T) (id, name string),
) (string, error) {
	var near []string
	for thing, err := range all {
		if err != nil {
			return "", err
		}
		id, called := idAndName(thing)
		if called == name {
			return id, nil
		}
		if len(near) < 3 && strings.Contains(strings.ToLower(called), strings.ToLower(name)) {
			near = append(near, called)
		}
	}
	return "", notFound(noun, name, near, see)
}

// unknownName returns the error for a name that nothing has.
type unknownName string

func (e unknownName) Error() string { return string(e) }

func notFound(noun, name string, near []string, see string) error {
	text := fmt.Sprintf("no %s is called \"%s\"; '%s' shows all", noun, clean(name), see)
	if len(near) > 0 {
		slices.Sort(near)
		text += fmt.Sprintf("; did you mean \"%s\"?", clean(strings.Join(near, `" or "`)))
	}
	return unknownName(text)
}

// emailKey returns an address as the server compares it.
func emailKey(text string) string {
	if email, err := svcauth.ParseEmail(text); err == nil {
		return email
	}
	return text
}
