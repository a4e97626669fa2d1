package resourceserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// forge signs nothing: header and claims as given, the signature too.
func forge(t testing.TB, header, claims any, signature string) string {
	part := func(v any) string {
		raw, is := v.(string)
		if !is {
			text, err := json.Marshal(v)
			require.NoError(t, err)
			raw = string(text)
		}
		return base64.RawURLEncoding.EncodeToString([]byte(raw))
	}
	return part(header) + "." + part(claims) + "." + base64.RawURLEncoding.EncodeToString([]byte(signature))
}

// signedText signs any texts as header and claims with the issuer's own key: what only a strict reader refuses.
func (s *signer) signedText(t testing.TB, header, claims string) string {
	text := base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + base64.RawURLEncoding.EncodeToString([]byte(claims))
	signature, err := jwt.SigningMethodES256.Sign(text, s.key)
	require.NoError(t, err)
	return text + "." + base64.RawURLEncoding.EncodeToString(signature)
}

func TestHostileTokensAreRefused(t *testing.T) {
	now := time.Now()
	v, s, _ := costVerifier(t, 0)
	good := s.token(t, claims(now, nil), nil)
	_, err := v.Verify(t.Context(), good)
	require.NoError(t, err, "the token from which the others are made is good")
	header := map[string]any{"alg": "ES256", "typ": "at+jwt", "kid": "k1"}
	goodHeader := `{"alg":"ES256","typ":"at+jwt","kid":"k1"}`
	goodClaims, err := json.Marshal(claims(now, nil))
	require.NoError(t, err)
	public, err := s.key.PublicKey.Bytes()
	require.NoError(t, err)
	hs256 := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(now, nil))
	hs256.Header["typ"], hs256.Header["kid"] = "at+jwt", "k1"
	withPublicKey, err := hs256.SignedString(public)
	require.NoError(t, err)
	parts := strings.Split(good, ".")
	with := func(name string, value any) string {
		return s.token(t, claims(now, map[string]any{name: value}), nil)
	}
	headed := func(name string, value any) string {
		return s.token(t, claims(now, nil), map[string]any{name: value})
	}
	for name, token := range map[string]string{
		"empty":                              "",
		"no dots":                            "abc",
		"two parts":                          parts[0] + "." + parts[1],
		"four parts":                         good + "." + parts[2],
		"JSON serialization (RFC 7515 §7.2)": `{"payload":"` + parts[1] + `"}`,
		"longer than 16 KiB":                 good + strings.Repeat("A", 16<<10),
		"RFC 8725 §3.1 alg none":             forge(t, map[string]any{"alg": "none", "typ": "at+jwt", "kid": "k1"}, claims(now, nil), ""),
		"RFC 8725 §3.1 alg None, with signature": forge(t, map[string]any{"alg": "None", "typ": "at+jwt", "kid": "k1"}, claims(now, nil), "x"),
		"RFC 8725 §2.1 HS256 by the public key":  withPublicKey,
		"alg of another key":                     forge(t, map[string]any{"alg": "EdDSA", "typ": "at+jwt", "kid": "k1"}, claims(now, nil), strings.Repeat("x", 64)),
		"signature of zeros (CVE-2022-21449)":    forge(t, header, claims(now, nil), strings.Repeat("\x00", 64)),
		"signature cut":                          good[:len(good)-4],
		"signature of another token":             parts[0] + "." + parts[1] + "." + strings.Split(with("jti", "other"), ".")[2],
		"claims of another token":                parts[0] + "." + strings.Split(with("scope", "clusters:release"), ".")[1] + "." + parts[2],
		"RFC 9068 §4 typ JWT":                    headed("typ", "JWT"),
		"typ missing":                            headed("typ", nil),
		"typ of an ID token's kind":              headed("typ", "id+jwt"),
		"RFC 7515 §4.1.11 crit":                  headed("crit", []string{"exp"}),
		"RFC 7797 b64":                           headed("b64", false),
		"kid unknown":                            headed("kid", "k2"),
		"kid a path":                             headed("kid", "../../dev/null"),
		"kid too long":                           headed("kid", strings.Repeat("k", 300)),
		"kid no string":                          headed("kid", 1),
		"jku and jwk are not followed": func() string {
			h := maps.Clone(header)
			h["kid"], h["jku"] = "evil", "https://evil.example"
			return forge(t, h, claims(now, nil), strings.Repeat("x", 64))
		}(),
		"iss of another":               with("iss", "https://evil.example"),
		"iss with a slash more":        with("iss", testIssuer+"/"),
		"iss missing":                  with("iss", nil),
		"aud of another API":           with("aud", "https://other.example"),
		"aud a prefix":                 with("aud", testAudience+"/v2"),
		"aud an array without us":      with("aud", []string{"a", "b"}),
		"aud missing":                  with("aud", nil),
		"aud null":                     s.signedText(t, goodHeader, strings.Replace(string(goodClaims), `"`+testAudience+`"`, "null", 1)),
		"exp past":                     with("exp", now.Add(-time.Hour).Unix()),
		"exp missing":                  with("exp", nil),
		"exp a string":                 with("exp", "9999999999"),
		"exp beyond all years":         with("exp", 1e300),
		"exp negative":                 with("exp", -1),
		"iat in the future":            with("iat", now.Add(time.Hour).Unix()),
		"nbf in the future":            with("nbf", now.Add(time.Hour).Unix()),
		"sub missing":                  with("sub", nil),
		"client_id missing":            with("client_id", nil),
		"jti missing":                  with("jti", nil),
		"scope an array":               with("scope", []string{"clusters:view"}),
		"roles a string":               with("roles", "Administrator"),
		"epoch a float":                with("epoch", 1.5),
		"RFC 8725 §2.6 claim repeated": s.signedText(t, goodHeader, strings.Replace(string(goodClaims), "{", `{"sub":"sa_2",`, 1)),
		"claim that differs in case":   s.signedText(t, goodHeader, strings.Replace(string(goodClaims), "{", `{"Scope":"clusters:release",`, 1)),
		"claims no object":             s.signedText(t, goodHeader, `[]`),
		"something after the claims":   s.signedText(t, goodHeader, string(goodClaims)+"{}"),
		"claims no UTF-8":              s.signedText(t, goodHeader, strings.Replace(string(goodClaims), "sa_1", "sa_\xff", 1)),
		"header repeated member":       s.signedText(t, `{"alg":"ES256","alg":"none","typ":"at+jwt","kid":"k1"}`, string(goodClaims)),
		"header no JSON":               s.signedText(t, `{`, string(goodClaims)),
	} {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second time it might be remembered
				_, err := v.Verify(t.Context(), token)
				var refusal *Error
				require.ErrorAs(t, err, &refusal)
				require.Equal(t, 401, refusal.Status)
				require.Equal(t, CodeInvalidToken, refusal.Code)
				if len(token) > 20 {
					require.NotContains(t, refusal.Error(), token[:20])
				}
			}
		})
	}
}

// No second spelling of a good token passes, whatever one byte is changed to, put in or taken out (RFC 4648 §3.5).
func TestEachByteOfATokenCounts(t *testing.T) {
	v, s, _ := costVerifier(t, 0)
	good := s.token(t, claims(time.Now(), nil), nil)
	_, err := v.Verify(t.Context(), good)
	require.NoError(t, err)
	for i := range len(good) {
		for _, c := range []byte("Aa0-_.=+/ \n\x00\x80" + string(good[i]^1) + string(good[i]^2)) {
			if good[i] != c {
				_, err := v.Verify(t.Context(), good[:i]+string(rune(c))+good[i+1:])
				require.Error(t, err, "byte %d is %q", i, c)
			}
		}
		_, err := v.Verify(t.Context(), good[:i]+good[i+1:])
		require.Error(t, err, "without byte %d", i)
		for _, c := range "\n =" {
			_, err = v.Verify(t.Context(), good[:i]+string(c)+good[i:])
			require.Error(t, err, "%q before byte %d", c, i)
		}
	}
}

func TestEveryKindOfRevocationReachesARememberedToken(t *testing.T) {
	exp := time.Now().Add(time.Hour).Unix()
	for name, c := range map[string]struct {
		entry   svcauth.Revocation
		revoked bool
	}{
		"the token":                               {svcauth.Revocation{JTI: "t1"}, true},
		"another token":                           {svcauth.Revocation{JTI: "t2"}, false},
		"its secret":                              {svcauth.Revocation{Cred: "sec_1"}, true},
		"another secret":                          {svcauth.Revocation{Cred: "sec_2"}, false},
		"its client's older tokens":               {svcauth.Revocation{ClientID: "sa_1", MinEpoch: 2}, true},
		"its client's, but it is new enough":      {svcauth.Revocation{ClientID: "sa_1", MinEpoch: 1}, false},
		"its client's with its role":              {svcauth.Revocation{ClientID: "sa_1", Role: "Operator", MinEpoch: 2}, true},
		"its client's with another role":          {svcauth.Revocation{ClientID: "sa_1", Role: "Viewer", MinEpoch: 2}, false},
		"another client's":                        {svcauth.Revocation{ClientID: "sa_2", MinEpoch: 2}, false},
		"its role":                                {svcauth.Revocation{OrgID: "org_1", Role: "Operator", MinPol: 2}, true},
		"its role, but it is new enough":          {svcauth.Revocation{OrgID: "org_1", Role: "Operator", MinPol: 1}, false},
		"another role":                            {svcauth.Revocation{OrgID: "org_1", Role: "Viewer", MinPol: 2}, false},
		"its role in another organization":        {svcauth.Revocation{OrgID: "org_2", Role: "Operator", MinPol: 2}, false},
		"a privilege of its role that it carries": {svcauth.Revocation{OrgID: "org_1", Role: "Operator", Privilege: "clusters:edit", MinPol: 2}, true},
		"a privilege of its role that it lacks":   {svcauth.Revocation{OrgID: "org_1", Role: "Operator", Privilege: "clusters:ed", MinPol: 2}, false},
		"its organization":                        {svcauth.Revocation{OrgID: "org_1", MinPol: 2}, true},
		"a kind of the future":                    {svcauth.Revocation{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			for _, remember := range []int{0, -1} {
				v, s, set := costVerifier(t, remember)
				token := s.token(t, claims(time.Now(), nil), nil)
				_, err := v.Verify(t.Context(), token)
				require.NoError(t, err)
				c.entry.Exp = exp
				set.Add(c.entry)
				_, err = v.Verify(t.Context(), token)
				if c.revoked {
					require.ErrorIs(t, err, ErrRevoked)
				} else {
					require.NoError(t, err)
				}
			}
		})
	}
}

func TestClockSkewIsBorneWithinTheLeeway(t *testing.T) {
	s, now := newSigner(t), time.Now()
	for _, c := range []struct {
		leeway, ahead time.Duration // of this clock before the issuer's
		accepted      bool
	}{
		{0, 0, true}, {0, time.Hour + 20*time.Second, true}, {0, time.Hour + 31*time.Second, false}, {0, -29 * time.Second, true}, {0, -32 * time.Second, false},
		{-1, time.Hour - 2*time.Second, true}, {-1, time.Hour + time.Second, false}, {-1, -2 * time.Second, false}, {5 * time.Minute, time.Hour + 290*time.Second, true},
	} {
		v, err := New(Config{Issuer: testIssuer, Audience: testAudience, Keys: s, Leeway: c.leeway, Clock: func() time.Time { return now.Add(c.ahead) }})
		require.NoError(t, err)
		_, err = v.Verify(t.Context(), s.token(t, claims(now, nil), nil))
		require.Equal(t, c.accepted, err == nil, "leeway %v, %v ahead: %v", c.leeway, c.ahead, err)
		require.NoError(t, v.Close())
	}
	_, err := New(Config{Issuer: testIssuer, Audience: testAudience, Leeway: 6 * time.Minute})
	require.ErrorContains(t, err, "at most")
}

// FuzzVerify: whatever is sent, it is refused and nothing panics. Only the one good token passes.
func FuzzVerify(f *testing.F) {
	v, s, _ := costVerifier(f, 0)
	good := s.token(f, claims(time.Now(), nil), nil)
	parts := strings.Split(good, ".")
	for _, seed := range []string{good, "", "..", "a.b.c", parts[0] + "." + parts[1] + ".", fmt.Sprintf("%s.%s.%s", parts[0], parts[0], parts[2]), strings.ToUpper(good)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := v.Verify(t.Context(), token); err == nil && token != good {
			t.Fatalf("accepted: %q", token)
		}
	})
}
