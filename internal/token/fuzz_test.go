package token

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Whatever is asked for, what is granted is a sorted part of what is held, each
// once, and the rest is one of three refusals.
func FuzzScope(f *testing.F) {
	for _, s := range []string{"", "a:a", "a:a b:b", "b:b a:a b:b", "all", "all a:a", " a:a", "a:a ", "a:a  b:b", "c:c",
		"\x00", "a:a\nb:b", "\"", "\\", strings.Repeat("a ", 5000), "ü", "A:a"} {
		f.Add(s, "")
		f.Add(s, "https://a")
	}
	f.Add("", "https://a#x")
	f.Add("", "https://none")
	s := &Service{cfg: Config{Issuer: "https://issuer.example", ScopeAliases: []string{"all"}}}
	holder := someIssuance(s, Request{}, store.HeldRole{
		ID: "r", Name: `R"\`, Kind: store.RoleCustom, Privileges: []string{"a:a", "b:b"},
	}).holder
	f.Fuzz(func(t *testing.T, scope, resource string) {
		r := Request{Scope: scope}
		if resource != "" {
			r.Resources = []string{resource}
		}
		d, refusal := s.decide(holder, r)
		if refusal != nil {
			require.Contains(t, []string{oautherr.CodeInvalidScope, oautherr.CodeInvalidTarget}, refusal.Code)
			require.Equal(t, 400, refusal.Status)
			require.Less(t, len(refusal.Description), 400)
			for i := range len(refusal.Description) {
				c := refusal.Description[i]
				require.True(t, c >= 0x20 && c <= 0x7e && c != '"' && c != '\\', "%q", refusal.Description)
			}
			return
		}
		granted := strings.Fields(d.scope)
		require.True(t, slices.IsSorted(granted))
		require.Len(t, slices.Compact(slices.Clone(granted)), len(granted))
		for _, p := range granted {
			require.Contains(t, []string{"a:a", "b:b"}, p)
			require.False(t, resource == "https://a" && p != "a:a")
		}
		payload := d.payload(tokenClaims{Credential: svcauth.NewID(svcauth.PrefixSecret), JTI: newJTI(),
			IssuedAt: 1e9, ExpiresAt: 2e9})
		require.Len(t, payload, d.size())
		var claims map[string]any
		require.NoError(t, json.Unmarshal(payload, &claims))
		require.Equal(t, 2e9, claims["exp"])
		text, _ := claims["scope"].(string)
		require.Equal(t, d.scope, text)
		require.Equal(t, d.scope, strings.Join(granted, " "))
	})
}
