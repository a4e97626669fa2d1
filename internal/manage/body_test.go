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

// TestWhatCanNotBeDecodedIsSaidInWords: the library first decodes a body into
// anything, in which no field has a name.
func TestWhatCanNotBeDecodedIsSaidInWords(t *testing.T) {
	require.EqualError(t, unmarshal([]byte(`{"claims":{"a":1e400}}`), new(any)),
		"a value in it has another type than was expected, or is a number out of range")
	require.EqualError(t, unmarshal([]byte(`{"name":1}`), new(struct {
		Name string `json:"name"`
	})),
		`the value of "name" can't be taken: it has another type or is out of range`)
}
