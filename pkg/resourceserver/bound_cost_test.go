// Not under the race detector, which takes time of its own: time is what is
// measured here, by one goroutine.

//go:build !race

package resourceserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest/certtest"
)

// everNew takes the same proof again and again as if it were another one each
// time.
type everNew struct {
	*dpop.Memory
	n uint64
}

// Use implements [dpop.Replays].
func (e *everNew) Use(ctx context.Context, u dpop.Use) dpop.Outcome {
	e.n++
	binary.LittleEndian.PutUint64(u.ID[:], e.n)
	return e.Memory.Use(ctx, u)
}

// BenchmarkBound compares the warm check of a request with a bound token with
// that of a plain one. `dpop-over-signature` is what a proof costs more, in
// what the one signature of the proof alone costs; `certificate-us` is what a
// certificate costs more, in microseconds.
func BenchmarkBound(b *testing.B) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	maker, err := possession.NewMaker(key, "")
	require.NoError(b, err)
	s, now, certificate := newSigner(b), time.Now(), certtest.SelfSigned(b, nil).Leaf
	v := verifierOf(b, s, nil)
	v.bound.proofs = dpop.NewChecker(dpop.Config{
		Replays: &everNew{Memory: dpop.NewMemory(dpop.DefaultRemember)}, Clock: func() time.Time { return now },
	})
	request := func(scheme string, cnf map[string]any) *http.Request {
		r := httptest.NewRequest(http.MethodGet, "/clusters", nil)
		token := s.token(b, claims(now, map[string]any{"cnf": cnf}), nil)
		r.Header.Set("Authorization", scheme+" "+token)
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{certificate}}
		of := possession.Of{Method: "GET", URL: testAudience + "/clusters", Token: token, Now: now}
		proof, err := maker.Make(of)
		require.NoError(b, err)
		r.Header.Set("DPoP", proof)
		return r
	}
	plain := request("Bearer", nil)
	plain.Header["Authorization"] = []string{"Bearer " + s.token(b, claims(now, nil), nil)}
	withKey := request("DPoP", map[string]any{"jkt": maker.Thumbprint()})
	withCertificate := request("Bearer", map[string]any{"x5t#S256": dpop.CertificateThumbprint(certificate)})
	signed, encoded, _ := cutLast(withKey.Header.Get("DPoP"))
	signature, err := base64.RawURLEncoding.DecodeString(encoded)
	require.NoError(b, err)
	check := func(r *http.Request) func() {
		return func() {
			if _, err := v.Authenticate(r); err != nil {
				b.Fatal(err)
			}
		}
	}
	bare := func() {
		if err := jwt.SigningMethodES256.Verify(signed, signature, &key.PublicKey); err != nil {
			b.Fatal(err)
		}
	}
	var took [4]time.Duration
	for b.Loop() {
		for i, run := range []func(){bare, check(plain), check(withKey), check(withCertificate)} {
			began := time.Now()
			for range 20 {
				run()
			}
			took[i] += time.Since(began)
		}
	}
	b.ReportMetric(float64(took[2]-took[1])/float64(took[0]), "dpop-over-signature")
	b.ReportMetric(float64(took[3]-took[1])/float64(b.N)/20/1000, "certificate-us")
	b.ReportMetric(float64(took[1])/float64(b.N)/20/1000, "plain-us")
	b.ReportMetric(float64(took[2])/float64(b.N)/20/1000, "dpop-us")
}

// cutLast cuts around the last dot.
func cutLast(text string) (before, after string, ok bool) {
	at := strings.LastIndexByte(text, '.')
	return text[:at], text[at+1:], at >= 0
}
