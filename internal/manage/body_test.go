package manage

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestNamesOfOthersAreTakenWhereTheyBelong: claims of another issuer and
// members of keys have names that ours never have.
func TestNamesOfOthersAreTakenWhereTheyBelong(t *testing.T) {
	for body, taken := range map[string]bool{
		`{"claims":{"/kubernetes.io/serviceaccount/uid":"x","https://example.com/Team":"y"},"name":"z"}`: true,
		`{"jwks":{"keys":[{"kty":"EC","x5t#S256":"x"},{"x5t#S256":"y"}]}}`:                               true,
		`{"jwk":{"x5t#S256":"x"}}`:                                true,
		`{"claims":{"Team":"x"},"Name":"z"}`:                      false,
		`{"Claims":{"x":"y"}}`:                                    false,
		`{"items":[{"Name":"z"}]}`:                                false,
		`{"items":{"claims":{"Team":"x"}}}`:                       false,
		`{"claims":{"Team":"x","Team":"y"}}`:                      false,
		`{"claims":{"a":"x\u0000"}}`:                              false,
		`{"jwk":{"a":[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]}}`: maxDepth > 22,
	} {
		require.Equal(t, taken, checkJSON([]byte(body)) == nil, body)
	}
}
