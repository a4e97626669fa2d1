package token

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Clients share what the same roles give, and only that: a role that has
// changed, another organization, another catalogue and a grant for a time are
// each a set of their own.
func TestClientsShareWhatTheirRolesGive(t *testing.T) {
	const issuer = "https://issuer.example"
	cat := newCatalogue(nil, []svcauth.Privilege{
		{Name: "a:a", API: "https://a"}, {Name: "b:b", API: "https://b"},
	}, issuer, "ES256")
	other := newCatalogue(nil, cat.privileges, issuer, "ES256")
	now := time.Now()
	roles := func(edit func(*store.HeldRole)) []store.HeldRole {
		all := []store.HeldRole{
			{ID: "role_1", Name: "One", Kind: store.RoleCustom, Privileges: []string{"a:a"}},
			{ID: "role_2", Name: "Two", Kind: store.RoleCustom, Privileges: []string{"b:b"}},
		}
		edit(&all[1])
		return all
	}
	same := func(*store.HeldRole) {}
	var sets roleSets
	of := func(client, org string, cat *catalogue, edit func(*store.HeldRole)) *roleSet {
		return sets.of(&store.Credentials{ClientID: client, OrgID: org}, roles(edit), cat, issuer, now)
	}
	first := of("sa_1", "org_1", cat, same)
	require.Same(t, first, of("sa_2", "org_1", cat, same))
	require.Equal(t, []string{"a:a", "b:b"}, first.held.Privileges)
	for name, set := range map[string]*roleSet{
		"another organization": of("sa_3", "org_2", cat, same),
		"fewer privileges":     of("sa_1", "org_1", cat, func(r *store.HeldRole) { r.Privileges = nil }),
		"another name":         of("sa_1", "org_1", cat, func(r *store.HeldRole) { r.Name = "New" }),
		"other privileges":     of("sa_1", "org_1", cat, func(r *store.HeldRole) { r.Privileges = []string{"a:a"} }),
		"a grant for a time": of("sa_1", "org_1", cat, func(r *store.HeldRole) {
			r.ExpiresAtMS = now.Add(time.Hour).UnixMilli()
		}),
		"another catalogue": of("sa_1", "org_1", other, same),
	} {
		require.NotSame(t, first, set, name)
	}
	all := reflect.TypeFor[store.HeldRole]()
	require.True(t, store.HeldRole{}.Same(store.HeldRole{}))
	for i := range all.NumField() {
		var changed store.HeldRole
		switch field := reflect.ValueOf(&changed).Elem().Field(i); field.Kind() {
		case reflect.String:
			field.SetString("x")
		case reflect.Int64:
			field.SetInt(1)
		case reflect.Bool:
			field.SetBool(true)
		default:
			field.Set(reflect.MakeSlice(field.Type(), 1, 1))
		}
		require.False(t, changed.Same(store.HeldRole{}), "%s counts", all.Field(i).Name)
	}
	require.NotContains(t, of("sa_1", "org_1", cat, func(r *store.HeldRole) { r.Privileges = nil }).granted, "b:b")

	for i := range maxRoleSets / 4 {
		of("sa_1", fmt.Sprint("org_", i), cat, same)
	}
	require.Less(t, len(sets.kept), maxRoleSets/5, "forgotten once there are too many")
}
