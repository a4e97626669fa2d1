package token

import (
	"cmp"
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const profilesIssuer = "https://issuer.example"

// profiled is a catalogue of APIs with and without profiles. Each has one
// privilege, its first letter twice.
func profiled() *catalogue {
	spring := &svcauth.Profile{Preset: "spring"}
	apis := []svcauth.API{
		{Audience: profilesIssuer},
		{Audience: "https://a", Profile: spring, AccountClaims: []string{"tier", "zone"}},
		{Audience: "https://b", AccountClaims: []string{"tier"}},
		{Audience: "https://c", Profile: &svcauth.Profile{Preset: "spring", Typ: "JWT"},
			AccountClaims: []string{"zone"}},
		{Audience: "https://d", Profile: &svcauth.Profile{AudienceForm: "string"}},
		{Audience: "https://e", Profile: &svcauth.Profile{SigningAlgorithm: "ES256", AudienceForm: "array"}},
		{Audience: "https://f", Profile: &svcauth.Profile{
			ScopeClaim: "scp", Claims: map[string]any{"v": "{name}@{org_id}"},
		}, AccountClaims: []string{"V"}},
	}
	var privileges []svcauth.Privilege
	for _, letter := range []string{"a", "b", "c", "d", "e", "f"} {
		privileges = append(privileges, svcauth.Privilege{Name: letter + ":" + letter, API: "https://" + letter})
	}
	privileges = append(privileges, svcauth.Privilege{Name: "i:i", API: profilesIssuer})
	return newCatalogue(apis, privileges, profilesIssuer, "ES256")
}

func profiledHolder(row store.Credentials, privileges ...string) *holder {
	row.ClientID, row.OrgID, row.Kind = "sa_1", "org_1", cmp.Or(row.Kind, store.ClientServiceAccount)
	var roles []store.HeldRole
	for _, p := range privileges {
		roles = append(roles, store.HeldRole{
			ID: "r" + p, Name: "R" + p, Kind: store.RoleCustom, Privileges: []string{p},
		})
	}
	return newHolder(&row, roles, profiled(), profilesIssuer, time.Now())
}

// TestTheNameOfAnApplicationKey is its id: it has no name, and what its member
// says of it may be the name of an account.
func TestTheNameOfAnApplicationKey(t *testing.T) {
	s := guarded(t)
	for kind, want := range map[string]string{
		store.ClientServiceAccount: "deployer@org_1", store.ClientApplicationKey: "sa_1@org_1",
	} {
		row := store.Credentials{Kind: kind, Name: "deployer"}
		if kind == store.ClientApplicationKey {
			row.Name, row.MemberID = "", "mem_1"
		}
		d, refusal := s.decide(profiledHolder(row, "f:f"), Request{})
		require.Nil(t, refusal)
		var claims map[string]any
		require.NoError(t, json.Unmarshal(d.claims(true), &claims))
		require.Equal(t, want, claims["v"])
	}
}

// TestNoTokenHasAFormThatIsNotKnown has profiles of a newer release beside one
// of this: no token is for their APIs, in whatever form, and one for others is.
func TestNoTokenHasAFormThatIsNotKnown(t *testing.T) {
	s := guarded(t)
	for what, newer := range map[string]svcauth.Profile{
		"preset kong":                  {Preset: "kong"},
		"signing_algorithm ML-DSA-44":  {SigningAlgorithm: "ML-DSA-44"},
		"signing_algorithm unreadable": {SigningAlgorithm: store.Unreadable},
		"typ jwt+x":                    {Typ: "jwt+x"},
		"scope_claim groups":           {ScopeClaim: "groups"},
		"audience_form object":         {AudienceForm: "object"},
	} {
		t.Run(what, func(t *testing.T) {
			c := newCatalogue([]svcauth.API{
				{Audience: profilesIssuer}, {Audience: "https://new", Profile: &newer}, {Audience: "https://old"},
			}, []svcauth.Privilege{
				{Name: "n:n", API: "https://new"}, {Name: "o:o", API: "https://old"},
			}, profilesIssuer, "ES256")
			decide := func(row store.Credentials, r Request, privileges ...string) (decision, *oautherr.Error) {
				row.ClientID, row.OrgID, row.Kind = "sa_1", "org_1", store.ClientServiceAccount
				return s.decide(newHolder(&row, []store.HeldRole{{
					ID: "r", Name: "R", Kind: store.RoleCustom, Privileges: privileges,
				}}, c, profilesIssuer, time.Now()), r)
			}
			for _, one := range []func() (decision, *oautherr.Error){
				func() (decision, *oautherr.Error) { return decide(store.Credentials{}, Request{}, "n:n") },
				func() (decision, *oautherr.Error) { return decide(store.Credentials{}, Request{}, "n:n", "o:o") },
				func() (decision, *oautherr.Error) { return decide(store.Credentials{}, Request{Scope: "n:n"}, "n:n") },
				func() (decision, *oautherr.Error) {
					return decide(store.Credentials{}, Request{Resources: []string{"https://new"}}, "o:o")
				},
				func() (decision, *oautherr.Error) {
					return decide(store.Credentials{DefaultResource: "https://new"}, Request{}, "n:n")
				},
			} {
				_, refusal := one()
				require.NotNil(t, refusal)
				require.Equal(t, "invalid_target", refusal.Code)
				require.Equal(t, "unknown_profile", refusal.Reason)
				require.Contains(t, refusal.Description, what)
				require.NotContains(t, refusal.Description, "default_resource")
			}
			d, refusal := decide(store.Credentials{}, Request{Resources: []string{"https://old"}}, "n:n", "o:o")
			require.Nil(t, refusal)
			require.Equal(t, "o:o", d.scope)
		})
	}
}

// TestOneTokenHasOneForm asks for tokens for several APIs, by resource, by
// scope or by nothing: for those that want different forms there is none.
func TestOneTokenHasOneForm(t *testing.T) {
	s := guarded(t)
	s.cfg.ScopeAliases = []string{"all-apis"}
	usual, spring := keyring.Form{Typ: "at+jwt"}, keyring.Form{Algorithm: "RS256", Typ: "JWT"}
	es256 := keyring.Form{Algorithm: "ES256", Typ: "at+jwt"} // said, whatever other nodes make the server's
	all := []string{"a:a", "b:b", "c:c", "d:d", "e:e", "f:f", "i:i"}
	for name, c := range map[string]struct {
		holds    []string
		request  Request
		form     keyring.Form // of the token
		aud      any
		scope    string
		refusal  string // its reason; empty: there is a token
		mentions string
	}{
		"one API":  {[]string{"a:a"}, Request{}, spring, "https://a", "a:a", "", ""},
		"one form": {[]string{"a:a", "c:c"}, Request{}, spring, []any{"https://a", "https://c"}, "a:a c:c", "", ""},
		"the same said otherwise": {
			[]string{"b:b", "e:e"}, Request{}, es256, []any{"https://b", "https://e"}, "b:b e:e", "", "",
		},
		"an array of one, and the server's algorithm by name": {
			[]string{"e:e"}, Request{}, es256, []any{"https://e"}, "e:e", "", "",
		},
		"nothing held": {nil, Request{}, usual, profilesIssuer, "", "", ""},
		"two forms": {
			[]string{"a:a", "b:b"}, Request{}, usual, nil, "", "profiles",
			"name one API in each request, as resource=https://a or resource=https://b; or let the service account",
		},
		"two forms, by alias": {
			[]string{"a:a", "b:b"}, Request{Scope: "all-apis"}, usual, nil, "", "profiles", "default_resource",
		},
		"a string for two": {[]string{"b:b", "d:d"}, Request{}, usual, nil, "", "profiles", "resource=https://d"},
		"a string for one": {[]string{"d:d"}, Request{}, usual, "https://d", "d:d", "", ""},
		"by resource":      {all, Request{Resources: []string{"https://a"}}, spring, "https://a", "a:a", "", ""},
		"by two resources": {
			all, Request{Resources: []string{"https://c", "https://a"}}, spring, []any{"https://c", "https://a"},
			"a:a c:c", "", "",
		},
		"by two that differ": {all, Request{Resources: []string{"https://a", "https://b"}}, usual, nil, "", "profiles",
			"as resource=https://a or resource=https://b"},
		"with this server": {all, Request{Resources: []string{"https://a", profilesIssuer}}, usual, nil, "", "profiles",
			"resource=" + profilesIssuer},
		"by scope":              {all, Request{Scope: "a:a"}, spring, "https://a", "a:a", "", ""},
		"by scopes that differ": {all, Request{Scope: "a:a b:b"}, usual, nil, "", "profiles", "resource=https://b"},
		"many": {all, Request{}, usual, nil, "", "profiles",
			"resource=https://a or resource=https://b or resource=https://c or resource=https://d and so on; or let"},
	} {
		t.Run(name, func(t *testing.T) {
			d, refusal := s.decide(profiledHolder(store.Credentials{}, c.holds...), c.request)
			if c.refusal != "" {
				require.NotNil(t, refusal)
				require.Equal(t, "invalid_target", refusal.Code)
				require.Equal(t, c.refusal, refusal.Reason)
				require.Contains(t, refusal.Description, c.mentions)
				return
			}
			require.Nil(t, refusal)
			require.Equal(t, c.form, d.profile.form)
			require.Equal(t, c.scope, d.scope)
			var claims map[string]any
			require.NoError(t, json.Unmarshal(d.claims(true), &claims))
			require.Equal(t, c.aud, claims["aud"])
		})
	}
}

// TestAnApplicationKeyIsToldOnlyWhatItCanHave: it has no default_resource.
func TestAnApplicationKeyIsToldOnlyWhatItCanHave(t *testing.T) {
	h := profiledHolder(store.Credentials{Kind: store.ClientApplicationKey}, "a:a", "b:b")
	_, refusal := guarded(t).decide(h, Request{})
	require.NotNil(t, refusal)
	require.Contains(t, refusal.Description, "resource=https://a or resource=https://b")
	require.NotContains(t, refusal.Description, "default_resource")
}

// TestADefaultResourceIsAsIfNamed compares with requests that name it.
func TestADefaultResourceIsAsIfNamed(t *testing.T) {
	s := guarded(t)
	s.cfg.ScopeAliases = []string{"all-apis"}
	h := profiledHolder(store.Credentials{DefaultResource: "https://a"}, "a:a", "b:b", "i:i")
	named, refusal := s.decide(h, Request{Resources: []string{"https://a"}})
	require.Nil(t, refusal)
	for _, scope := range []string{"", "all-apis"} {
		d, refusal := s.decide(h, Request{Scope: scope})
		require.Nil(t, refusal)
		require.Equal(t, named, d)
	}
	d, refusal := s.decide(h, Request{Scope: "b:b"})
	require.Nil(t, refusal)
	require.Equal(t, "b:b", d.scope, "what is asked for is not cut")
	d, refusal = s.decide(h.under([]string{"a:a"}, profilesIssuer), Request{})
	require.Nil(t, refusal)
	require.Equal(t, "a:a", d.scope)

	for _, gone := range []string{"https://gone", profilesIssuer} {
		h = profiledHolder(store.Credentials{DefaultResource: gone}, "b:b")
		_, refusal = s.decide(h, Request{})
		require.NotNil(t, refusal)
		require.Equal(t, "invalid_target", refusal.Code)
		require.Contains(t, refusal.Description, "default_resource '"+gone+"' is no API of the catalogue any more")
		_, refusal = s.decide(h, Request{Scope: "b:b"})
		require.Nil(t, refusal)
	}
}

// TestOwnClaimsAreThoseThatEachAPILists has an account with claims, which its
// tokens carry as far as each API that they are for lists them. The server's
// own are never overwritten, whatever the tables say.
func TestOwnClaimsAreThoseThatEachAPILists(t *testing.T) {
	s := guarded(t)
	claims := func(own string, resources ...string) map[string]any {
		h := profiledHolder(store.Credentials{Name: "reader", Claims: own}, "a:a", "b:b", "c:c", "f:f")
		d, refusal := s.decide(h, Request{Resources: resources})
		require.Nil(t, refusal)
		var read map[string]any
		require.NoError(t, json.Unmarshal(d.claims(true), &read))
		return read
	}
	require.NotContains(t, claims(`{"V": "sa_2"}`, "https://f"), "V", "some readers take it for the profile's v")
	const own = `{"tier": "gold", "zone": ["x", {"y": 1}], "other": 1}`
	got := claims(own, "https://a")
	require.Equal(t, "gold", got["tier"])
	require.Equal(t, []any{"x", map[string]any{"y": 1.0}}, got["zone"])
	require.NotContains(t, got, "other")
	got = claims(own, "https://b")
	require.Equal(t, "gold", got["tier"])
	require.NotContains(t, got, "zone")
	got = claims(own, "https://a", "https://c")
	require.NotContains(t, got, "tier")
	require.Contains(t, got, "zone")
	require.NotContains(t, claims(own, profilesIssuer), "tier")
	require.NotContains(t, claims("not JSON", "https://a"), "tier")

	got = claims(own, "https://f")
	require.Equal(t, "reader@org_1", got["v"])
	require.Equal(t, []any{"f:f"}, got["scp"])
	require.NotContains(t, got, "scope")

	bad := newCatalogue([]svcauth.API{{Audience: "https://a", AccountClaims: []string{"sub"},
		Profile: &svcauth.Profile{Claims: map[string]any{"aud": "https://b"}}}},
		[]svcauth.Privilege{{Name: "a:a", API: "https://a"}}, profilesIssuer, "ES256")
	row := &store.Credentials{ClientID: "sa_1", OrgID: "org_1", Claims: `{"sub": "sa_2"}`}
	role := store.HeldRole{ID: "r", Name: "R", Kind: store.RoleCustom, Privileges: []string{"a:a"}}
	d, refusal := s.decide(newHolder(row, []store.HeldRole{role}, bad, profilesIssuer, time.Now()), Request{})
	require.Nil(t, refusal)
	require.NotContains(t, string(d.claims(true)), "sa_2")
	require.NotContains(t, string(d.claims(true)), "https://b")
}
