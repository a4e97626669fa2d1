// Not under the race detector: the program that it kills is built for itself,
// and is not under the race detector in either case.

//go:build !race

package app_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// asserts is a service account of a process, with a key.
type asserts struct {
	*process
	id  string
	key *ecdsa.PrivateKey
}

// bootstrapped starts a process over an empty database, with such an account.
func bootstrapped(t *testing.T, p *process) *asserts {
	t.Helper()
	raw, err := p.command("bootstrap", "-o", "json").Output()
	require.NoError(t, err)
	var made struct {
		Key struct {
			ID     string         `json:"client_id"`
			Secret svcauth.Secret `json:"client_secret"`
		} `json:"application_key"`
	}
	require.NoError(t, json.Unmarshal(raw, &made))
	p.serve()
	issuer := "http://" + p.address
	tokens, err := tokensource.New(tokensource.Config{TokenURL: issuer + "/oauth2/token", ClientID: made.Key.ID,
		ClientSecret: made.Key.Secret, Resource: []string{issuer}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = tokens.Close() })
	admin, err := svcauth.NewClient(svcauth.ClientConfig{URL: issuer,
		HTTPClient: &http.Client{Transport: tokens.Transport(nil)}})
	require.NoError(t, err)
	account, err := admin.CreateServiceAccount(t.Context(), svcauth.NewServiceAccount{Name: "ci"})
	require.NoError(t, err)
	a := &asserts{process: p, id: account.ClientID}
	a.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := jwk.New(&a.key.PublicKey)
	require.NoError(t, err)
	encoded, err := json.Marshal(public)
	require.NoError(t, err)
	_, err = admin.CreateKey(t.Context(), account.ID, svcauth.NewKey{JWK: encoded})
	require.NoError(t, err)
	return a
}

func (a *asserts) sign() string {
	now := time.Now()
	text, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": a.id, "sub": a.id,
		"aud": "http://" + a.address, "jti": rand.Text(), "iat": now.Unix(), "exp": now.Add(4 * time.Minute).Unix(),
	}).SignedString(a.key)
	require.NoError(a.t, err)
	return text
}

func (a *asserts) ask(assertion string) int {
	status, _ := a.form("/oauth2/token", url.Values{"grant_type": {"client_credentials"},
		"client_assertion_type": {clientauth.AssertionJWT}, "client_assertion": {assertion}})
	return status
}

// end ends the process as an operator does.
func (a *asserts) end() {
	require.NoError(a.t, a.running.Process.Signal(syscall.SIGTERM))
	require.NoError(a.t, a.running.Wait(), a.output.String())
}

// No assertion passes twice though the process alone is killed the moment after
// it was used. What was made before the next one began is refused then, and a
// new one passes within seconds; an orderly end costs nothing.
func TestNoAssertionPassesAgainAfterAKill(t *testing.T) {
	needs.Service(t, "real services")
	binary := filepath.Join(t.TempDir(), "svcauth")
	out, err := exec.Command("go", "build", "-o", binary, "github.com/svcauth/svcauth/cmd/svcauth").CombinedOutput()
	require.NoError(t, err, string(out))
	a := bootstrapped(t, newProcess(t, binary, "sqlite://"+filepath.Join(t.TempDir(), "svcauth.db"), ""))
	require.Equal(t, 200, a.ask(a.sign()))
	time.Sleep(1100 * time.Millisecond) // what is used from now on is written a second later
	var used []string
	for range 3 {
		for range 20 {
			used = append(used, a.sign())
			require.Equal(t, 200, a.ask(used[len(used)-1]))
		}
		unused := a.sign()
		a.kill() // with the answer barely read
		a.serve()
		for _, one := range append(used, unused) {
			require.Contains(t, []int{401, 503}, a.ask(one))
		}
		require.Eventually(t, func() bool { return a.ask(a.sign()) == 200 }, patience, 50*time.Millisecond,
			"a new one")
	}
	unused := a.sign()
	used = append(used, a.sign())
	require.Equal(t, 200, a.ask(used[len(used)-1]))
	a.end()
	a.serve()
	require.Equal(t, 200, a.ask(unused), "made before an orderly end")
	for _, one := range used {
		require.Contains(t, []int{401, 503}, a.ask(one))
	}
	a.end()
}
