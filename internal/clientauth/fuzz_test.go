package clientauth

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What is read is what was written (RFC 7617, RFC 6749 §2.3.1), and the rest is
// refused.
func FuzzBasic(f *testing.F) {
	for _, s := range []string{"", "Basic", "Basic ", "Basic YTpi", "basic  YTpi ", "Basic YTpi\n", "Bearer x",
		"Basic " + base64.StdEncoding.EncodeToString([]byte("a%zz:b")), "Basic !!!",
		"Basic " + strings.Repeat("A", 5000),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("a:b:c")),
		"Basic " + base64.StdEncoding.EncodeToString([]byte("\xff:\x00"))} {
		f.Add(s, "sa_1", "svcs_x")
	}
	f.Add("", "ü:%", "a b+c")
	f.Fuzz(func(t *testing.T, header, id, secret string) {
		got := parseBasic(header)
		if got.Fault == "" {
			require.True(t, Clean(got.ClientID) && Clean(string(got.Secret)))
			require.LessOrEqual(t, len(got.ClientID)+len(got.Secret), maxBasic)
		}
		written := "Basic " + base64.StdEncoding.EncodeToString([]byte(url.QueryEscape(id)+":"+url.QueryEscape(secret)))
		got = parseBasic(written)
		if !Clean(id) || !Clean(secret) || len(written) > maxBasic {
			return
		}
		require.Empty(t, got.Fault, "%q", written)
		require.Equal(t, id, got.ClientID)
		require.Equal(t, secret, string(got.Secret))
	})
}
