package token

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestClaimsOfATokenFollowThoseOfItsDecision(t *testing.T) {
	thumbprint := strings.Repeat("A", 43)
	both := &confirmation{Key: thumbprint, Certificate: thumbprint}
	claims := tokenClaims{Credential: "sec_00000000000000000000000000", IssuedAt: 1e9, ExpiresAt: 2e9, JTI: newJTI()}
	for _, bound := range []*confirmation{nil, {Key: thumbprint}, {Certificate: thumbprint}, both} {
		claims.Confirmation = bound
		object := claims.after([]byte(`{"iss":"https://auth.test"}`))
		var got map[string]any
		require.NoError(t, json.Unmarshal(object, &got), "%s", object)
		want := map[string]any{
			"iss": "https://auth.test", "cred": claims.Credential, "jti": claims.JTI, "iat": 1e9, "exp": 2e9,
		}
		if bound != nil {
			cnf := map[string]any{}
			if bound.Key != "" {
				cnf["jkt"] = bound.Key
			}
			if bound.Certificate != "" {
				cnf["x5t#S256"] = bound.Certificate
			}
			want["cnf"] = cnf
		}
		require.Equal(t, want, got)
	}
	require.Less(t, sizeOf(both), maxTokenClaims)
}

// The standard tokens of clients that hold the same roles have the encoding of
// their roles in common, and each its own claims.
func TestClientsWithTheSameRolesHaveClaimsOfTheirOwn(t *testing.T) {
	const issuer = "https://issuer.example"
	cat := newCatalogue(nil, []svcauth.Privilege{{Name: "a:a", API: "https://a"}}, issuer, "ES256")
	roles := []store.HeldRole{
		{ID: "role_1", Name: `O"ne`, Kind: store.RoleCustom, Privileges: []string{"a:a"}, RequiresBinding: true},
	}
	set := newRoleSet(roles, cat, issuer, false, time.Now())
	decoded := func(encoded []byte) (claims map[string]any) {
		require.NoError(t, json.Unmarshal(encoded, &claims), "%s", encoded)
		return claims
	}
	want := func(client, subject string, epoch float64) map[string]any {
		return map[string]any{
			"iss": issuer, "sub": subject, "client_id": client, "aud": "https://a", "scope": "a:a", "full": true,
			"roles": []any{`O"ne`}, "org_id": "org_1", "epoch": epoch, "pol": 7.0,
		}
	}
	first := holderOf(&store.Credentials{ClientID: "sa_1", OrgID: "org_1", Epoch: 3, Policy: 7}, set, issuer)
	second := holderOf(&store.Credentials{ClientID: "ak_2", MemberID: "mem_2", OrgID: "org_1", Epoch: 4, Policy: 7},
		set, issuer)
	require.Equal(t, want("sa_1", "sa_1", 3), decoded(first.standard.claims(true)))
	require.Equal(t, want("ak_2", "mem_2", 4), decoded(second.standard.claims(true)))
	odd := holderOf(&store.Credentials{ClientID: `sa","scope":"b:b`, OrgID: "org_\u00e9\n", Policy: 7}, set, issuer)
	require.Equal(t, `sa","scope":"b:b`, decoded(odd.standard.claims(true))["client_id"], "whatever a name is made of")
	require.Equal(t, "org_\u00e9\n", decoded(odd.standard.claims(true))["org_id"])
	require.Equal(t, "a:a", decoded(odd.standard.claims(true))["scope"])
	unbound := want("ak_2", "mem_2", 4)
	delete(unbound, "full")
	require.Equal(t, unbound, decoded(second.standard.claims(false)))
	capped := decoded(second.under([]string{"a:a"}, issuer).standard.claims(true))
	require.Equal(t, unbound, capped, "a ceiling makes no other's token less")
	require.Equal(t, want("sa_1", "sa_1", 3),
		decoded(holderOf(first.Credentials, set, issuer).standard.claims(true)), "nor the next one's")
}
