package interop_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestAuthlib: Python's client proves itself by each kind of key at each
// endpoint. It signs the token URL as aud unless it is told otherwise, and that
// is let in only where the key says so.
func TestAuthlib(t *testing.T) {
	needs.Service(t, "Python with Authlib")
	h := newHouse(t)
	var cases []clientCase
	for _, algorithm := range []string{"RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		cases = append(cases, clientCase{Name: algorithm, Algorithm: algorithm})
	}
	cases = append(cases,
		clientCase{Name: "the token URL", Algorithm: "RS256", TokenURL: true, refused: "invalid_client"},
		clientCase{Name: "the token URL, allowed", Algorithm: "RS256", TokenURL: true,
			registered: svcauth.NewKey{AcceptTokenURLAudience: true}},
		// It puts the jti into the claims that it was given, and so repeats it.
		clientCase{Name: "claims of one's own", Algorithm: "RS256", Claims: map[string]string{"aud": h.Issuer},
			refused: "invalid_client"},
		clientCase{Name: "the private key as a secret", Algorithm: "RS256", Basic: true, refused: "invalid_client"})
	for i := range cases {
		h.register(&cases[i])
	}
	results := h.run(cases, "/usr/bin/python3", "-B", "testdata/authlib_client.py")
	for _, it := range cases {
		t.Run(it.Name, func(t *testing.T) {
			got := results[it.Name]
			if it.refused != "" {
				require.Contains(t, got.Error, it.refused)
				leaked := strings.Contains(got.Basic, "PRIVATE KEY")
				require.Equal(t, it.Basic, leaked, "as deploy/docs/clients.md warns")
				return
			}
			walked(t, it, got)
			aud := h.Issuer
			if it.TokenURL {
				aud += "/oauth2/token"
			}
			sent := signed(t, it, got)
			require.Equal(t, it.Algorithm, sent.header["alg"])
			require.Empty(t, sent.header["kid"])
			require.Equal(t, aud, sent.aud)
			require.Equal(t, time.Hour, sent.life)
		})
	}
}
