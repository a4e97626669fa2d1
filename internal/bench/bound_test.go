package bench_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/possession"
)

// BenchmarkBoundToken is the warm token endpoint for requests with a DPoP proof,
// beside those without. over-bare is what a proof costs more than none, in what
// one JWT verified by golang-jwt costs a bare handler more.
func BenchmarkBoundToken(b *testing.B) {
	for _, nonce := range []string{"off", "optional"} {
		b.Run("dpop.nonce "+nonce, func(b *testing.B) { againstBound(b, "SVCAUTH_DPOP_NONCE="+nonce) })
	}
}

func againstBound(b *testing.B, environ ...string) {
	b.Helper()
	a := newAssertions(b, "ES256")
	maker, err := possession.NewMaker(a.private, "")
	require.NoError(b, err)
	ours, bare := start(b, assertionAccounts,
		append(environ, keyVariable+"="+a.public, "SVCAUTH_ISSUER="+benchIssuer)...)
	verifier := startProcess(b, "bare", "BENCH_SIZE=900", keyVariable+"="+a.public, algVariable+"="+a.method.Alg())
	secret := post("/oauth2/token", ours.Accounts[0], tokenForm)
	var plain, bound, signs, verifies figure
	run := func(f *figure, p *process, requests [][]byte) {
		f.add(b, p, func() int64 {
			defer time.Sleep(settles)
			return load(b, p.Addr, time.Minute, func(n int64) []byte {
				if n >= assertionsEach {
					return nil
				}
				return requests[n%int64(len(requests))]
			}, nil)
		})
	}
	round := func() {
		asserted := a.requests(b, assertionsEach, func(n int) string {
			id := ours.Accounts[n%len(ours.Accounts)].ID
			return a.sign(b, id, id, "")
		})
		run(&verifies, verifier, asserted)
		run(&bound, ours, proofRequests(b, maker, ours.Accounts))
		run(&plain, ours, [][]byte{secret})
		run(&signs, bare, [][]byte{secret})
	}
	round() // warm up
	plain, bound, signs, verifies = figure{}, figure{}, figure{}, figure{}
	for b.Loop() {
		for range rounds {
			round()
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(plain.cpuEach()/signs.cpuEach(), "plain-ratio")
	b.ReportMetric(bound.cpuEach()/signs.cpuEach(), "cpu-ratio")
	b.ReportMetric((bound.cpuEach()-plain.cpuEach())/(verifies.cpuEach()-signs.cpuEach()), "over-bare")
	b.Logf("processor time: plain %.1f us, bound %.1f us; bare %.1f us, with a JWT verified %.1f us",
		plain.cpuEach()*1e6, bound.cpuEach()*1e6, signs.cpuEach()*1e6, verifies.cpuEach()*1e6)
}

// proofRequests returns token requests with a proof of their own each, made by
// all processors.
func proofRequests(b *testing.B, maker *possession.Maker, accounts []credential) [][]byte {
	b.Helper()
	made := make([][]byte, assertionsEach)
	var next atomic.Int64
	var group errgroup.Group
	for range 4 {
		group.Go(func() error {
			for n := next.Add(1) - 1; n < assertionsEach; n = next.Add(1) - 1 {
				of := possession.Of{Method: "POST", URL: benchIssuer + "/oauth2/token", Now: time.Now()}
				proof, err := maker.Make(of)
				if err != nil {
					return err
				}
				c := accounts[int(n)%len(accounts)]
				made[n] = fmt.Appendf(nil, "POST /oauth2/token HTTP/1.1\r\nHost: bench\r\nAuthorization: Basic %s\r\n"+
					"DPoP: %s\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
					base64.StdEncoding.EncodeToString([]byte(c.ID+":"+c.Secret)), proof, len(tokenForm), tokenForm)
			}
			return nil
		})
	}
	require.NoError(b, group.Wait())
	return made
}

// BenchmarkCertificateBoundToken is the warm token endpoint for clients that
// show a certificate through a proxy, which their tokens are bound to (RFC 8705
// §3), beside one that shows none: cpu-ratio is of the two.
func BenchmarkCertificateBoundToken(b *testing.B) {
	ours, _ := start(b, 2, bindingVariable+"=mtls",
		"SVCAUTH_TRUSTED_PROXIES=127.0.0.0/8", "SVCAUTH_TLS_CLIENT_CERT_HEADER=Client-Cert")
	plain := post("/oauth2/token", ours.Accounts[0], tokenForm)
	field := "Client-Cert: :" + base64.StdEncoding.EncodeToString(selfSigned(b)) + ":\r\n"
	bound := bytes.Replace(post("/oauth2/token", ours.Accounts[1], tokenForm),
		[]byte("Content-Type:"), []byte(field+"Content-Type:"), 1)
	var of, none figure
	measure := func(f *figure, request []byte) {
		f.add(b, ours, func() int64 { return load(b, ours.Addr, window, func(int64) []byte { return request }, nil) })
	}
	measure(&of, bound) // warm up
	of = figure{}
	for b.Loop() {
		for range rounds {
			measure(&of, bound)
			measure(&none, plain)
		}
	}
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(of.cpuEach()/none.cpuEach(), "cpu-ratio")
	b.ReportMetric(of.perSecond()/none.perSecond(), "throughput-ratio")
}

// selfSigned returns a client's certificate, in DER.
func selfSigned(b *testing.B) []byte {
	b.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(b, err)
	form := x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "bench"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, &form, &form, key.Public(), key)
	require.NoError(b, err)
	return der
}
