package token

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
)

// FuzzScope: whatever is asked for, what is granted is a sorted part of what is held, each once, and the rest is one of three refusals.
func FuzzScope(f *testing.F) {
	for _, s := range []string{"", "a:a", "a:a b:b", "b:b a:a b:b", "all", "all a:a", " a:a", "a:a ", "a:a  b:b", "c:c", "\x00", "a:a\nb:b", "\"", "\\", strings.Repeat("a ", 5000), "ü", "A:a"} {
		f.Add(s, "")
		f.Add(s, "https://a")
	}
	f.Add("", "https://a#x")
	f.Add("", "https://none")
	s := &Service{cfg: Config{Issuer: "https://issuer.example", ScopeAliases: []string{"all"}}}
	client := someClient(store.HeldRole{ID: "r", Name: `R"\`, Kind: store.RoleCustom, Privileges: []string{"a:a", "b:b"}})
	f.Fuzz(func(t *testing.T, scope, resource string) {
		r := Request{Scope: scope}
		if resource != "" {
			r.Resources = []string{resource}
		}
		g, refusal := s.decide(client.Client, r)
		if refusal != nil {
			require.Contains(t, []string{CodeInvalidScope, CodeInvalidTarget}, refusal.Code)
			require.Equal(t, 400, refusal.Status)
			require.Less(t, len(refusal.Description), 400)
			for i := range len(refusal.Description) {
				c := refusal.Description[i]
				require.True(t, c >= 0x20 && c <= 0x7e && c != '"' && c != '\\', "%q", refusal.Description)
			}
			return
		}
		granted := strings.Fields(g.scope)
		require.True(t, slices.IsSorted(granted))
		require.Len(t, slices.Compact(slices.Clone(granted)), len(granted))
		for _, p := range granted {
			require.Contains(t, []string{"a:a", "b:b"}, p)
			require.False(t, resource == "https://a" && p != "a:a")
		}
		var claims map[string]any
		require.NoError(t, json.Unmarshal(append(slices.Clone(g.claims), '}'), &claims))
	})
}

// FuzzJSONString: our writer's strings are what encoding/json reads back.
func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a", `"`, `\`, "\x00\x1f\x7f", "ü🚀\u2028", "\xff\xfe", "</script>", "a\xc3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		require.True(t, utf8.Valid(b))
		var back string
		require.NoError(t, json.Unmarshal(b, &back))
		require.Equal(t, strings.ToValidUTF8(strings.Map(func(r rune) rune { return r }, s), "\uFFFD"), back)
	})
}
