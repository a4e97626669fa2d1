package console_test

import (
	"net/url"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWalkOfAccountClaims sets what an account's tokens are for and say of it:
// when it is made, and afterwards. What is wrong stands beside its field, of
// two who edit the second is told in words, and a form from before there were
// these fields changes nothing.
func TestWalkOfAccountClaims(t *testing.T) {
	svctest.Chromium(t)
	for _, l := range looks {
		t.Run(l.String(), func(t *testing.T) {
			s := svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}})
			walkOfAccountClaims(t, s, l)
		})
	}
}

func walkOfAccountClaims(t *testing.T, s *svctest.Server, l look) {
	b, second := open(t, s, l), admin(t, s)
	b.signIn(s)
	b.goTo("/console/service-accounts/new")
	b.fill("Name", "claimant")
	b.choose("Its tokens must be bound", "to a key (DPoP)")
	b.click("checkbox", "Without a Client Secret It proves itself by a key, a federated credential or a certificate, "+
		"which you add next.")
	eval[bool](b, `document.querySelector('dialog details').open = true`)
	b.choose("Its tokens are for", "Cloud API ("+svctest.CloudAPI+")")
	b.fill("Own claims (optional)", `{"tier": "gold", "customer": {"id": 7}}`)
	b.picture("account-claims-new-" + l.String())
	b.press("button", "Generate now")
	b.see("claimant is created, without a secret.")
	list, err := s.Admin().ServiceAccounts(t.Context(), svcauth.ListOptions{Name: "claimant"})
	require.NoError(t, err)
	id := list.Items[0].ID
	account := func() svcauth.ServiceAccount {
		a, err := s.Admin().ServiceAccount(t.Context(), id)
		require.NoError(t, err)
		return a
	}
	made := account()
	require.Equal(t, svcauth.TokenBindingDPoP, made.TokenBinding)
	require.Equal(t, svctest.CloudAPI, made.DefaultResource)
	require.Equal(t, map[string]any{"tier": "gold", "customer": map[string]any{"id": 7.0}}, made.Claims)

	at := "/console/service-accounts/" + id
	edit := url.Values{"name": {"claimant"}, "ttl": {"60"}, "version": {second.field(at+"/edit", versionField)},
		"default_resource": {""}, "claims": {`{"tier":1}`}}
	b.goTo(at)
	b.see("Cloud API (" + svctest.CloudAPI + ")")
	b.see(`customer: {"id":7} in tokens for Cloud API, Billing API`)
	b.see(`tier: "gold" in tokens for Cloud API`)
	b.press("link", "Edit")
	b.choose("Its tokens are for", "Billing API ("+svctest.BillingAPI+")")
	b.fill("Own claims (optional)", `{"seal": 1}`)
	b.press("button", "Save")
	b.see(`No API takes a claim "seal" of service accounts. Expected some of customer, tier.`)
	b.fill("Own claims (optional)", `tier: gold`)
	b.press("button", "Save")
	b.see(`Expected a JSON object, such as {"tier": "gold"}.`)
	b.picture("account-claims-refused-" + l.String())
	b.fill("Own claims (optional)", `{"tier": "silver"}`)
	b.press("button", "Save")
	b.see("Saved.")
	require.Equal(t, svctest.BillingAPI, account().DefaultResource)
	require.Equal(t, map[string]any{"tier": "silver"}, account().Claims)

	stale := second.post(at+"/edit", edit)
	require.Equal(t, 409, stale.status)
	require.Contains(t, stale.body, "Now saved: Billing API ("+svctest.BillingAPI+")")
	require.Regexp(t, regexp.MustCompile(`Now saved: \{\s+&#34;tier&#34;: &#34;silver&#34;\s+\}`), stale.body)
	edit.Set("version", second.field(at+"/edit", versionField))
	edit.Del("claims")
	edit.Del("default_resource")
	require.Equal(t, 303, second.post(at+"/edit", edit).status)
	require.Equal(t, svctest.BillingAPI, account().DefaultResource)
	require.Equal(t, map[string]any{"tier": "silver"}, account().Claims)
	edit.Set("version", second.field(at+"/edit", versionField))
	edit.Set("claims", "\r\n")
	edit.Set("default_resource", "")
	require.Equal(t, 303, second.post(at+"/edit", edit).status)
	require.Empty(t, account().DefaultResource)
	require.Empty(t, account().Claims)
	b.goTo(at)
	b.see("every API of which it holds a privilege")
}
