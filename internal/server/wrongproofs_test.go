package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// A wrong assertion without kid counts for each signature that was checked, so
// that a flood of them costs no more of those than the limit of wrong secrets
// allows. A right one counts for none, whichever key has signed it.
func TestEachCheckedSignatureCounts(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{
		"SVCAUTH_LIMITS_WRONG_SECRETS_PER_CLIENT=20", "SVCAUTH_LIMITS_WRONG_SECRETS_PER_ADDRESS=200",
	}})
	g := newSigner(t, s, p256(t), "ES256", nil)
	for range 3 { // the newest is tried first
		g.register(p256(t), nil, false)
	}
	for range 40 {
		require.Equal(t, http.StatusOK, g.ask(g.sign(nil)).Status, "the key that is tried last")
	}
	g.private = p256(t)
	refused := 0
	for answer := g.ask(g.sign(nil)); answer.Status != http.StatusTooManyRequests; answer = g.ask(g.sign(nil)) {
		require.Equal(t, http.StatusUnauthorized, answer.Status, answer.Text)
		refused++
	}
	require.Equal(t, 5, refused, "of four signatures each")
}

// sameAsUnknown requires that a client whose keys are away gets, time after
// time, the answers of one that does not exist: those of wrong proofs.
func sameAsUnknown(t *testing.T, known, unknown func() svctest.Answer) {
	t.Helper()
	for n := range 24 {
		one, other := known(), unknown()
		require.Equal(t, other.Status, one.Status)
		require.Equal(t, other.Text, one.Text)
		require.Equal(t, other.Header.Get("Retry-After") == "", one.Header.Get("Retry-After") == "")
		require.Equal(t, map[bool]int{true: 401, false: 429}[n < 20], one.Status, "%d: %s", n, one.Text)
	}
}

// An issuer that can't be reached says nothing of the workload: while it is
// away nobody comes nearer to being locked out, and when it is back the
// workload works at once. A stranger does not learn of it.
func TestAnIssuerAwayLocksNobodyOut(t *testing.T) {
	t.Parallel()
	s, f := svctest.New(t, svctest.Options{Environ: []string{onLoopback}}), newForeign(t)
	a := s.Account("deployer", "clusters:view")
	trust(t, s, f, a.ID, nil)
	ask := func() svctest.Answer {
		return s.Post("/oauth2/token", "", "", assertedBy(a.ID, f.token(s.Issuer, nil)))
	}
	f.down.Store(true)
	sameAsUnknown(t, ask, func() svctest.Answer {
		return s.Post("/oauth2/token", "", "", assertedBy(strings.Repeat("x", len(a.ID)), f.token(s.Issuer, nil)))
	})
	require.Contains(t, s.Log(), `"reason":"keys_unreachable"`)
	f.down.Store(false)
	require.Eventually(t, func() bool { return ask().Status == http.StatusOK }, 20*time.Second, 200*time.Millisecond)

	f.key = p256(t) // a stranger's, while the issuer can be reached
	wrong := 0
	for answer := ask(); answer.Status != http.StatusTooManyRequests; answer = ask() {
		require.Equal(t, http.StatusUnauthorized, answer.Status, answer.Text)
		wrong++
	}
	require.Equal(t, 20, wrong)
}

// So it is where a client publishes its keys.
func TestPublishedKeysAwayLockNobodyOut(t *testing.T) {
	p := newPublisher(t, onLoopback)
	p.fails(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) })
	for n := range 24 {
		require.Equal(t, map[bool]int{true: 401, false: 429}[n < 20], p.status(nil))
	}
	p.fault.Store(nil)
	p.pass(6 * time.Second)
	require.Equal(t, http.StatusOK, p.status(nil))
}
