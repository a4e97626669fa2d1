// Not under the race detector: the programs that it starts are built for
// themselves.

//go:build !race

package main

import (
	"crypto/ed25519"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/possession"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/redistest"
)

// Two processes of the API with EXAMPLE_API_PROOF_REDIS_URL take one proof
// once between them, and with the same EXAMPLE_API_PROOF_NONCE_KEY each other's
// nonces.
func TestTwoProcessesTakeOneProofOnce(t *testing.T) {
	needs.Service(t, "real services")
	binary := filepath.Join(t.TempDir(), "example-api")
	out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput()
	require.NoError(t, err, string(out))
	const external = "https://api.cloud.example"
	s, redis := svctest.New(t, svctest.Options{}), redistest.Start(t)
	var addresses []string
	nonceKey := rand.Text() + rand.Text()
	for range 2 {
		address := freeport.Address(t)
		cmd := exec.Command(binary)
		cmd.Env = []string{"EXAMPLE_API_ISSUER=" + s.Issuer, "EXAMPLE_API_LISTEN=" + address,
			"EXAMPLE_API_EXTERNAL_URL=" + external, "EXAMPLE_API_PROOF_REDIS_URL=" + redis.URL(),
			"EXAMPLE_API_PROOF_NONCES=optional", "EXAMPLE_API_PROOF_NONCE_KEY=" + nonceKey}
		cmd.Stderr, cmd.SysProcAttr = os.Stderr, &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
		addresses = append(addresses, address)
	}
	account := s.Account("caller", "clusters:view")
	_, key, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	maker, err := possession.NewMaker(key, "")
	require.NoError(t, err)
	proof := func(of possession.Of) string {
		of.Now = time.Now()
		text, err := maker.Make(of)
		require.NoError(t, err)
		return text
	}
	form := url.Values{"grant_type": {"client_credentials"}}.Encode()
	req, err := http.NewRequest(http.MethodPost, s.URL+"/oauth2/token", strings.NewReader(form))
	require.NoError(t, err)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("DPoP", proof(possession.Of{Method: "POST", URL: s.Issuer + "/oauth2/token"}))
	req.SetBasicAuth(account.ClientID, account.ClientSecret.Reveal())
	answer := s.Do(req)
	require.Equal(t, "DPoP", answer.JSON["token_type"], answer.Text)
	token := answer.JSON["access_token"].(string)

	const path = "/api/1.0/clusters"
	nonces := make(chan string, 1) // one of those that were given
	ask := func(address, proof string) int {
		req, err := http.NewRequest(http.MethodGet, "http://"+address+path, nil)
		if err != nil {
			return 0
		}
		req.Header.Set("Authorization", "DPoP "+token)
		req.Header.Set("DPoP", proof)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return 0
		}
		_ = resp.Body.Close()
		select {
		case nonces <- resp.Header.Get("DPoP-Nonce"):
		default:
		}
		return resp.StatusCode
	}
	fresh := func() string {
		return proof(possession.Of{Method: "GET", URL: external + path, Token: token})
	}
	for _, address := range addresses {
		require.Eventually(t, func() bool { return ask(address, fresh()) == http.StatusOK }, 30*time.Second,
			50*time.Millisecond)
	}
	nonce := <-nonces
	require.NotEmpty(t, nonce)
	for _, address := range addresses {
		own := proof(possession.Of{Method: "GET", URL: external + path, Token: token, Nonce: nonce})
		require.Equal(t, http.StatusOK, ask(address, own), "the nonce of one is the other's, too")
	}
	for range 30 {
		one := fresh()
		var passed atomic.Int64
		var all sync.WaitGroup
		for i := range 6 {
			all.Go(func() {
				if ask(addresses[i%2], one) == http.StatusOK {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		require.EqualValues(t, 1, passed.Load())
	}
}
