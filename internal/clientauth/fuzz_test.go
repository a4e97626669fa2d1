package clientauth

import (
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
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

// What is read of an assertion has one reading: three parts in one spelling,
// both objects with each member once, and what another parser finds in them.
func FuzzAssertion(f *testing.F) {
	for _, seed := range [][2]string{
		{`{"alg":"ES256"}`, `{"iss":"a","sub":"a","aud":["b"],"exp":9,"nbf":8.5,"iat":7,"jti":"j"}`},
		{`{"alg":"PS512","kid":"k","typ":"client-authentication+jwt"}`, `{"aud":"b","x":{"a":[1,{"a":"}"}]}}`},
		{`{"alg":"ES256","alg":"none"}`, `{"iss":"a","iss":"b"}`},
		{`{"alg":"ES256","\u0061lg":"none"}`, `{"iss":"a","\u0069ss":"b"}`},
		{`{"alg":"EdDSA","crit":["exp"]}`, `{"Iss":"a"}`},
		{`{"alg":"none"}`, `{"exp":1e308}`}, {`{"alg":"HS256"}`, `{"exp":-1}`}, {`[]`, `null`}, {"{", "}"},
		{`{"alg":"RS256","typ":"JOSE"}`, "{\"iss\":\"\xff\"}"}, {` { "alg" : "RS256" } `, " {} \n"},
	} {
		f.Add(seed[0], seed[1], unsigned(seed[0], seed[1]))
	}
	f.Add("", "", "..")
	f.Fuzz(func(t *testing.T, header, payload, text string) {
		oneReading(t, text)
		oneReading(t, unsigned(header, payload))
	})
}

// oneReading checks an assertion that is read against another parser.
func oneReading(t *testing.T, text string) {
	t.Helper()
	a, err := parseAssertion(text)
	if err != nil {
		require.Nil(t, a)
		require.NotEmpty(t, err.Error())
		return
	}
	parts := strings.Split(text, ".")
	require.Len(t, parts, 3)
	var decoded [3][]byte
	for i, part := range parts {
		decoded[i], err = base64.RawURLEncoding.DecodeString(part)
		require.NoError(t, err)
		require.Equal(t, part, base64.RawURLEncoding.EncodeToString(decoded[i]), "one spelling")
	}
	header, claims := onlyOnce(t, decoded[0]), onlyOnce(t, decoded[1])
	require.Equal(t, decoded[1], a.Payload)
	require.True(t, slices.Contains(assertionAlgorithms, a.JWS.Alg))
	require.NotContains(t, header, "crit")
	require.NotContains(t, header, "b64")
	for name, value := range map[string]string{"alg": a.JWS.Alg, "kid": a.JWS.Kid, "typ": a.JWS.Typ} {
		sameText(t, header[name], value)
	}
	for name, value := range map[string]string{"iss": a.Issuer, "sub": a.Subject, "jti": a.JTI} {
		sameText(t, claims[name], value)
	}
	require.Equal(t, claims["aud"] != nil, a.Audience != nil)
	require.Equal(t, claims["exp"] == nil, a.ExpiresAt.IsZero())
}

// onlyOnce returns the members of an object, none of which is there twice.
func onlyOnce(t *testing.T, text []byte) map[string]json.RawMessage {
	t.Helper()
	var all map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(text, &all))
	d := json.NewDecoder(strings.NewReader(string(text)))
	_, err := d.Token()
	require.NoError(t, err)
	members := 0
	for ; d.More(); members++ {
		_, err = d.Token()
		require.NoError(t, err)
		var value json.RawMessage
		require.NoError(t, d.Decode(&value))
	}
	require.Equal(t, len(all), members, "a member is there twice")
	return all
}

// sameText compares a member that may be absent with what was read of it.
func sameText(t *testing.T, raw json.RawMessage, read string) {
	t.Helper()
	var text string
	if raw != nil {
		require.NoError(t, json.Unmarshal(raw, &text))
	}
	require.Equal(t, text, read)
}
