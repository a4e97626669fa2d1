package token

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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
