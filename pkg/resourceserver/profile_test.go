package resourceserver

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Privileges come in the claim that the API's profile says. A token that has
// several is of another issuer: only the first counts.
func TestPrivilegesInWhicheverClaim(t *testing.T) {
	s := newSigner(t)
	v := verifierOf(t, s, nil)
	for name, c := range map[string]struct {
		claims map[string]any
		want   string
	}{
		"scope":                       {map[string]any{"scope": "a:b c:d"}, "a:b c:d"},
		"scp, an array":               {map[string]any{"scope": nil, "scp": []string{"a:b", "c:d"}}, "a:b c:d"},
		"scp, a text":                 {map[string]any{"scope": nil, "scp": "a:b c:d"}, "a:b c:d"},
		"scp, empty":                  {map[string]any{"scope": nil, "scp": []string{}}, ""},
		"permissions, an array":       {map[string]any{"scope": nil, "permissions": []string{"a:b"}}, "a:b"},
		"permissions, a text":         {map[string]any{"scope": nil, "permissions": "a:b"}, "a:b"},
		"none":                        {map[string]any{"scope": nil}, ""},
		"scope before the others":     {map[string]any{"scope": "a:b", "scp": "x:y", "permissions": 1}, "a:b"},
		"scope, though empty":         {map[string]any{"scope": "", "permissions": []string{"x:y"}}, ""},
		"scp before permissions":      {map[string]any{"scope": nil, "scp": "a:b", "permissions": "x:y"}, "a:b"},
		"scp, empty, and permissions": {map[string]any{"scope": nil, "scp": []string{}, "permissions": "x:y"}, ""},
	} {
		p, err := v.Verify(t.Context(), s.token(t, claims(time.Now(), c.claims), nil))
		require.NoError(t, err, name)
		require.Equal(t, c.want, p.Scope, name)
		require.Equal(t, strings.Fields(c.want), p.Privileges(), name)
	}
	refused := map[string]string{}
	for name, value := range map[string]any{
		"a number": 1, "an object": map[string]any{"a:b": true}, "an array of numbers": []int{1},
		"an array with null": []any{"a:b", nil}, "two privileges in one entry": []string{"a:b clusters:release"},
		"an array in an array": []any{[]string{"a:b"}}, "true": true,
	} {
		for _, claim := range []string{"scp", "permissions"} {
			refused[claim+": "+name] = s.token(t, claims(time.Now(), map[string]any{"scope": nil, claim: value}), nil)
		}
	}
	refusesAll(t, s, refused)
}

// A token of type JWT is taken only by an API that says so (RFC 9068 §4).
func TestTypJWTIsTakenBySwitch(t *testing.T) {
	s := newSigner(t)
	strict := verifierOf(t, s, nil)
	open := verifierOf(t, s, func(c *Config) { c.AcceptTypJWT = true })
	for typ, want := range map[any][2]bool{
		"at+jwt": {true, true}, "application/at+jwt": {true, true}, "JWT": {false, true}, "jwt": {false, true},
		"application/jwt": {false, true}, "": {false, false}, "dpop+jwt": {false, false}, "JOSE": {false, false},
		"client-authentication+jwt": {false, false}, 1: {false, false},
	} {
		token := s.token(t, claims(time.Now(), nil), map[string]any{"typ": typ})
		for i, v := range []*Verifier{strict, open} {
			_, err := v.Verify(t.Context(), token)
			require.Equal(t, want[i], err == nil, "%v, %d: %v", typ, i, err)
		}
	}
}
