package clientauth

import (
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// unsigned returns a JWT whose signature is none.
func unsigned(header, payload string) string {
	e := base64.RawURLEncoding.EncodeToString
	return e([]byte(header)) + "." + e([]byte(payload)) + "." + e([]byte("signature"))
}

func TestAssertionIsRead(t *testing.T) {
	id := svcauth.NewID(svcauth.PrefixServiceAccount)
	r := &Request{AssertionType: AssertionJWT, Assertion: unsigned(`{"alg":"PS512","kid":"k","typ":"Client-Authentication+JWT"}`,
		`{"iss":"`+id+`","sub":"s","aud":["a","b"],"exp":9,"nbf":8.5,"iat":7,"jti":"j","sub_id":{}}`)}
	a, err := r.ReadAssertion()
	require.NoError(t, err)
	require.Equal(t, []string{"PS512", "k", id, "s", "j"}, []string{a.JWS.Alg, a.JWS.Kid, a.Issuer, a.Subject, a.JTI})
	require.Equal(t, []string{"a", "b"}, a.Audience)
	require.Equal(t, []time.Time{time.Unix(9, 0), time.Unix(8, 0), time.Unix(7, 0)},
		[]time.Time{a.ExpiresAt, a.NotBefore, a.IssuedAt})
	again, err := r.ReadAssertion()
	require.NoError(t, err)
	require.Same(t, a, again)
	require.True(t, r.ownAssertion())
}

// RFC 7515 §4, RFC 7519 §4, RFC 8725 §3: what has two readings is not read.
func TestAssertionsThatAreNotRead(t *testing.T) {
	const header, payload = `{"alg":"ES256"}`, `{"iss":"a"}`
	for text, part := range map[string]string{
		"":                                             "malformed",
		"a.b":                                          "malformed",
		unsigned(header, payload) + ".x.y":             "malformed", // as a JWE has five parts
		unsigned(header, payload) + "=":                "malformed",
		unsigned(header, payload) + "\n":               "malformed",
		strings.Repeat("x", MaxAssertion+1):            "longer than",
		unsigned(`{"alg":"none"}`, payload):            "refused algorithm",
		unsigned(`{"alg":"HS256"}`, payload):           "refused algorithm",
		unsigned(`{}`, payload):                        "refused algorithm",
		unsigned(`{"alg":"es256"}`, payload):           "refused algorithm",
		unsigned(`{"alg":"ES256","alg":"x"}`, payload): "header can't be read",
		unsigned(`{"alg":"ES256","crit":["x"],"x":1}`, payload):                "crit",
		unsigned(`{"alg":"ES256","b64":false}`, payload):                       "crit",
		unsigned(`{"alg":"ES256","kid":1}`, payload):                           "header can't be read",
		unsigned(`{"alg":"ES256","kid":"`+strings.Repeat("x", 257)+`"}`, "{}"): "kid is too long",
		unsigned(`{"alg":"ES256","typ":"at+jwt"}`, payload):                    "another kind",
		unsigned(`{"alg":"ES256","typ":"dpop+jwt"}`, payload):                  "another kind",
		unsigned(`{"alg":"ES256","typ":"logout+jwt"}`, payload):                "another kind",
		unsigned(`{"alg":"ES256","typ":"oauth-authz-req+jwt"}`, payload):       "another kind",
		unsigned(header, unsigned(header, payload)):                            "JSON object",
		unsigned(header, `[]`):                                                 "JSON object",
		unsigned(header, `{"iss":"a","iss":"b"}`):                              "repeated member",
		unsigned(header, `{"Iss":"a"}`):                                        "only in case",
		unsigned(header, `{"iss":1}`):                                          "its iss is wrong",
		unsigned(header, `{"sub":null}`):                                       "its sub is wrong",
		unsigned(header, `{"aud":1}`):                                          "its aud is wrong",
		unsigned(header, `{"aud":["a",1]}`):                                    "its aud is wrong",
		unsigned(header, `{"exp":"1"}`):                                        "its exp is wrong",
		unsigned(header, `{"exp":1e308}`):                                      "its exp is wrong",
		unsigned(header, `{"exp":-1}`):                                         "its exp is wrong",
		unsigned(header, `{"nbf":true}`):                                       "its nbf is wrong",
		unsigned(header, `{"iat":[]}`):                                         "its iat is wrong",
		unsigned(header, `{"jti":1}`):                                          "its jti is wrong",
		unsigned(header, payload)[:20] + "\u00a0.a.b":                          "malformed",
	} {
		r := &Request{AssertionType: AssertionJWT, Assertion: text}
		_, err := r.ReadAssertion()
		require.ErrorContains(t, err, part, text)
		require.Equal(t, text != "", r.ownAssertion(), text)
	}
}

// An assertion is the client's own or somebody else's, never both.
func TestWhoseAnAssertionIs(t *testing.T) {
	of := func(issuer string) *Request {
		return &Request{AssertionType: AssertionJWT, Assertion: unsigned(`{"alg":"ES256"}`, `{"iss":"`+issuer+`"}`)}
	}
	require.True(t, of(svcauth.NewID(svcauth.PrefixServiceAccount)).ownAssertion())
	require.True(t, of(svcauth.NewID(svcauth.PrefixApplicationKey)).ownAssertion())
	require.False(t, of(svcauth.NewID(svcauth.PrefixMember)).ownAssertion())
	require.False(t, of("https://token.actions.githubusercontent.com").ownAssertion())
	require.False(t, of("").ownAssertion())
	other := of(svcauth.NewID(svcauth.PrefixServiceAccount))
	other.AssertionType = "urn:ietf:params:oauth:client-assertion-type:saml2-bearer"
	require.False(t, other.ownAssertion())
}

// RFC 10070: which types an assertion may have, by whose it is. JOSE is for
// tokens of SPIFFE alone.
func TestTypesOfAssertions(t *testing.T) {
	client := svcauth.NewID(svcauth.PrefixServiceAccount)
	for typ, passes := range map[string]struct{ own, others bool }{
		`"typ":"JWT"`:                                   {true, true},
		`"typ":"jwt"`:                                   {true, true},
		`"typ":"application/jwt"`:                       {true, true},
		`"typ":"client-authentication+jwt"`:             {true, true},
		`"typ":"application/client-authentication+JWT"`: {true, true},
		`"typ":""`:                                      {true, true},
		`"x":""`:                                        {true, true},
		`"typ":"JOSE"`:                                  {false, true},
		`"typ":"jose"`:                                  {false, true},
		`"typ":"JWS"`:                                   {false, false},
		`"typ":"at+jwt"`:                                {false, false},
		`"typ":"dpop+jwt"`:                              {false, false},
		`"typ":"logout+jwt"`:                            {false, false},
		`"typ":"jwt-svid"`:                              {false, false},
		`"typ":"text/jwt"`:                              {false, false},
		`"typ":"JWT","typ":"x"`:                         {false, false},
		`"typ":null`:                                    {false, false},
	} {
		method := NewPrivateKey(PrivateKeyConfig{})
		header := `{"alg":"ES256",` + typ + `}`
		own := &Request{AssertionType: AssertionJWT,
			Assertion: unsigned(header, `{"iss":"`+client+`","sub":"`+client+`"}`)}
		_, err := method.ClientID(t.Context(), own)
		require.Equal(t, passes.own, err == nil, typ)
		other := &Request{AssertionType: AssertionJWT, Assertion: unsigned(header, `{"iss":"https://a.example"}`)}
		_, err = other.token()
		require.Equal(t, passes.others, err == nil, typ)
	}
}
