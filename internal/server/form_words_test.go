package server_test

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// TestARefusedListSaysHowToWriteIt: what libraries make of a list is not what
// RFC 6749 §3.3 has, and who reads the refusal knows only what they wrote.
func TestARefusedListSaysHowToWriteIt(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	account := s.Account("writer of lists", "clusters:view", "clusters:edit")
	for name, c := range map[string]struct {
		form url.Values
		says string
	}{
		"brackets": {url.Values{"scope[]": {"clusters:view"}},
			"scope[...] is how some libraries write a list, and no parameter here: send scope once, as scope=a b:"},
		"dots": {url.Values{"scope.0": {"clusters:view"}},
			"scope.0 is how some libraries write a list, and no parameter here: send scope once, as scope=a b:"},
		"resources": {url.Values{"resource.0": {"x"}}, "send resource as resource=..., once for each API"},
		"twice": {url.Values{"scope": {"clusters:view", "clusters:edit"}},
			"scope is repeated: send it once, as scope=a b:"},
		"unknown twice": {url.Values{"<b>": {"1", "2"}}, "a parameter is repeated: send each once"},
		"commas": {url.Values{"scope": {"clusters:view,clusters:edit"}},
			"privileges are separated by spaces, not by commas"},
	} {
		t.Run(name, func(t *testing.T) {
			c.form.Set("grant_type", "client_credentials")
			answer := s.Post("/oauth2/token", account.ClientID, account.ClientSecret, c.form)
			require.Equal(t, 400, answer.Status)
			require.Contains(t, answer.JSON["error_description"], c.says)
		})
	}
}
