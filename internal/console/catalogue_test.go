package console_test

import (
	"html"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// The page of the catalogue says what tokens for each API look like, what a
// preset fills in included.
func TestThePageOfTheCatalogue(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring, scope_claim: scp, claims: {tenant: '{org_id}/{name}'}}\n" +
			"account_claims: [customer, tier]",
	})}})
	p := admin(t, s)
	a := p.get("/console/apis")
	require.Equal(t, http.StatusOK, a.status)
	body := strings.ReplaceAll(html.UnescapeString(a.body), "<wbr>", "")
	for _, said := range []string{
		svctest.CloudAPI, svctest.BillingAPI, s.Issuer, "For <code>spring</code>", "signed with RS256, type <code>JWT",
		"privileges in <code>scp</code>", `"tenant": "{org_id}/{name}"`, "<code>customer</code>, <code>tier</code>",
		"The usual one", "signed with ES256, type <code>at+jwt", "clusters:view",
	} {
		require.Contains(t, body, said)
	}
	require.Contains(t, p.get("/console/profile").body, `href="/console/apis"`, "reached from the navigation")
}
