package access_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The two APIs of [listingClaims].
const (
	cloudAPI  = "https://api.example.com"
	ledgerAPI = "https://ledger.example.com"
)

// listingClaims makes a Fixture whose APIs list claims of accounts: Cloud
// customer and tier, Ledger customer.
func listingClaims(t *testing.T) *rules.Fixture {
	f := rules.New(t, nil)
	listClaims(f, "customer", "tier")
	return f
}

// listClaims has the API Cloud list these claims.
func listClaims(f *rules.Fixture, cloud ...string) {
	catalogue, err := f.Store.Read().Privileges(f.T.Context())
	require.NoError(f.T, err)
	var privileges []svcauth.Privilege
	for _, p := range catalogue {
		if p.API != rules.Issuer {
			privileges = append(privileges, p)
		}
	}
	_, err = f.Access.ApplyCatalog(f.T.Context(), []svcauth.API{
		{Audience: cloudAPI, Name: "Cloud", AccountClaims: cloud},
		{Audience: ledgerAPI, Name: "Ledger", AccountClaims: []string{"customer"}},
	}, privileges, false)
	require.NoError(f.T, err)
}

// withClaims returns a change of the claims to a JSON object.
func withClaims(t *testing.T, text string) svcauth.ServiceAccountPatch {
	t.Helper()
	var patch svcauth.ServiceAccountPatch
	require.NoError(t, json.Unmarshal([]byte(`{"claims":`+text+`}`), &patch))
	require.NotNil(t, patch.Claims)
	return patch
}

func TestAccountClaims(t *testing.T) {
	f := listingClaims(t)
	made, err := f.Access.CreateServiceAccount(f.Admin(), svcauth.NewServiceAccount{
		Name: "ci", DefaultResource: ledgerAPI, Claims: map[string]any{"customer": "c-42", "tier": []any{"a", 1.0}},
	})
	require.NoError(t, err)
	got, err := f.Access.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, ledgerAPI, got.DefaultResource)
	require.Equal(t, map[string]any{"customer": "c-42", "tier": []any{"a", 1.0}}, got.Claims)
	row, err := f.Store.Read().Credentials(t.Context(), made.ID)
	require.NoError(t, err)
	require.Equal(t, `{"customer":"c-42","tier":["a",1]}`, row.Claims, "what tokens are made from")
	require.Equal(t, ledgerAPI, row.DefaultResource)

	changed, err := f.Access.UpdateServiceAccount(f.Admin(), made.ID, got.Version, withClaims(t, `{"customer":7}`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{"customer": 7.0}, changed.Claims, "all of them, in place of those before")
	require.Equal(t, ledgerAPI, changed.DefaultResource)
	got, err = f.Access.ServiceAccount(f.Admin(), made.ID)
	require.NoError(t, err)
	require.Equal(t, got, changed)
	events := f.Audited(f.OrgID(), "service_account.update")
	require.Len(t, events, 1)
	require.Contains(t, string(events[0].Before), `"claims":{"customer":"c-42","tier":["a",1]}`)
	require.Contains(t, string(events[0].After), `"claims":{"customer":7}`)
	require.Contains(t, string(events[0].After), `"default_resource":"`+ledgerAPI+`"`)

	same, err := f.Access.UpdateServiceAccount(f.Admin(), made.ID, 0, withClaims(t, `{"customer":7}`))
	require.NoError(t, err)
	require.Equal(t, changed.Version, same.Version, "what changes nothing raises no version")

	for _, none := range []string{`null`, `{}`} {
		changed, err = f.Access.UpdateServiceAccount(f.Admin(), made.ID, 0, withClaims(t, none))
		require.NoError(t, err)
		require.Equal(t, map[string]any{}, changed.Claims)
		row, err = f.Store.Read().Credentials(t.Context(), made.ID)
		require.NoError(t, err)
		require.Empty(t, row.Claims)
		_, err = f.Access.UpdateServiceAccount(f.Admin(), made.ID, 0, withClaims(t, `{"tier":null}`))
		require.NoError(t, err)
	}
	var patch svcauth.ServiceAccountPatch
	require.NoError(t, json.Unmarshal([]byte(`{"default_resource":null}`), &patch))
	changed, err = f.Access.UpdateServiceAccount(f.Admin(), made.ID, 0, patch)
	require.NoError(t, err)
	require.Empty(t, changed.DefaultResource)
	require.Equal(t, map[string]any{"tier": nil}, changed.Claims, "absent stays")
}

// TestAccountClaimsThatAreRefused checks the words and the bounds, to the byte.
func TestAccountClaimsThatAreRefused(t *testing.T) {
	f := listingClaims(t)
	account := f.Account("ci")
	full := `{"customer":"` + strings.Repeat("é", 1016) + `x"}`
	require.Len(t, full, svcauth.MaxClaimsSize)
	nested := func(depth int) string {
		return `{"tier":` + strings.Repeat(`[`, depth) + `1` + strings.Repeat(`]`, depth) + `}`
	}
	for text, says := range map[string]string{
		strings.Replace(full, `x"}`, `xx"}`, 1): "The object has 2049 bytes of JSON; at most 2048 are taken.",
		`{"sub":"mem_1"}`:                       `No API takes a claim "sub" of service accounts. Expected some of customer, tier.`,
		`{"Tier":1}`:                            `No API takes a claim "Tier" of service accounts.`,
		`{"tier":"gold","Tier":1}`:              `The object has "Tier" and "tier", which differ in large and small letters`,
		`{"\u0000":1}`:                          "The text holds the control character U+0000.",
		`{"tier":["gold\n"]}`:                   `The claim "tier" holds what can't be taken: a text that holds the control character U+000A.`,
		`{"tier":{"\u202e":1}}`:                 `The claim "tier" holds what can't be taken: a text that holds U+202E`,
		`{"tier":{"a":[9007199254740992]}}`:     `a number beyond 9007199254740991`,
		nested(8):                               "The object has objects or lists within each other more than 8 deep.",
	} {
		_, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, withClaims(t, text))
		p := rules.Problem(t, svcauth.CodeInvalid, err)
		require.Equal(t, "body.claims", p.Errors[0].Location, text)
		require.Contains(t, p.Errors[0].Message, says, text)
		n := svcauth.NewServiceAccount{Name: "other", Claims: *withClaims(t, text).Claims}
		_, err = f.Access.CreateServiceAccount(f.Admin(), n)
		require.Equal(t, p.Errors, rules.Problem(t, svcauth.CodeInvalid, err).Errors, "the same at creation")
	}
	for _, text := range []string{full, nested(7), `{"tier":-9007199254740991,"customer":0.5}`,
		`{"tier":{"a":{"b":[true,null,"<&>"]}}}`} {
		_, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, withClaims(t, text))
		require.NoError(t, err, text)
		row, err := f.Store.Read().Credentials(t.Context(), account.ID)
		require.NoError(t, err)
		require.JSONEq(t, text, row.Claims)
	}
	for audience, good := range map[string]bool{cloudAPI: true, "": true, rules.Issuer: false, cloudAPI + "/": false,
		"\x00": false} {
		_, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0,
			svcauth.ServiceAccountPatch{DefaultResource: &audience})
		if good {
			require.NoError(t, err, audience)
			continue
		}
		p := rules.Problem(t, svcauth.CodeInvalid, err)
		require.Equal(t, "body.default_resource", p.Errors[0].Location)
		_, err = f.Access.CreateServiceAccount(f.Admin(),
			svcauth.NewServiceAccount{Name: "other", DefaultResource: audience})
		require.Equal(t, p.Errors, rules.Problem(t, svcauth.CodeInvalid, err).Errors)
	}
}

// Claims that the catalogue no longer lists stay with the account, which can be
// changed in all else; they can only not be set anew.
func TestAccountClaimsThatAreNoLongerListed(t *testing.T) {
	f := listingClaims(t)
	account := f.Account("ci")
	_, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, withClaims(t, `{"tier":"gold"}`))
	require.NoError(t, err)
	listClaims(f)
	patch := withClaims(t, `{"tier":"gold"}`)
	patch.Description = new("still gold")
	changed, err := f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, patch)
	require.NoError(t, err)
	require.Equal(t, map[string]any{"tier": "gold"}, changed.Claims)
	_, err = f.Access.UpdateServiceAccount(f.Admin(), account.ID, 0, withClaims(t, `{"tier":"silver"}`))
	rules.Problem(t, svcauth.CodeInvalid, err)

	bare := rules.New(t, nil)
	_, err = bare.Access.CreateServiceAccount(bare.Admin(),
		svcauth.NewServiceAccount{Name: "ci", Claims: map[string]any{"tier": "gold"}})
	require.Contains(t, rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Message,
		"the operator lists their names as account_claims of an API in the catalogue")
}

// Claims are a statement about the account that whoever trusts it goes by. To
// change it takes what the account holds, as renaming it does; what its tokens
// are for by default takes no more than other settings.
func TestAccountClaimsMayBeChangedByWhoHoldsAll(t *testing.T) {
	f := listingClaims(t)
	account := f.Account("ci", f.Role("Editor", rules.Edit))
	_, weak := f.Member("weak@example.com", f.Role("Manager", svcauth.MembersManage))
	_, strong := f.Member("strong@example.com", f.Role("Both", svcauth.MembersManage, rules.Edit))
	_, reader := f.Member("reader@example.com", f.Role("Reader", svcauth.MembersRead, rules.Edit))
	change := func(ctx context.Context, text string) error {
		_, err := f.Access.UpdateServiceAccount(ctx, account.ID, 0, withClaims(t, text))
		return err
	}
	p := rules.Problem(t, svcauth.CodeMissingPrivileges, change(weak, `{"customer":"c-1"}`))
	require.Equal(t, []string{rules.Edit}, p.Missing)
	require.Contains(t, p.Detail, "change the claims of the service account ci")
	rules.Problem(t, svcauth.CodeMissingPrivileges, change(f.Narrow(strong, svcauth.MembersManage), `{"customer":"c-1"}`))
	rules.Problem(t, svcauth.CodeMissingPrivileges, change(reader, `{"customer":"c-1"}`))
	require.NoError(t, change(strong, `{"customer":"c-1"}`))
	rules.Problem(t, svcauth.CodeMissingPrivileges, change(weak, `{}`))
	require.NoError(t, change(weak, `{"customer":"c-1"}`), "nothing changes")
	_, err := f.Access.UpdateServiceAccount(weak, account.ID, 0,
		svcauth.ServiceAccountPatch{DefaultResource: new(cloudAPI)})
	require.NoError(t, err)
}
