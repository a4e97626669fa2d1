package token

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"sync"
	"time"
	"weak"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
)

// How many tokens a node keeps to give them out again, of about 3 KB each: in
// total, and of one organization. Who finds no room gets a token of its own.
const (
	maxReused     = 8192
	maxReusedEach = 2048
	sweepEvery    = time.Second
)

// reuse gives a caller that asks for a token per request the same again
// (token.reuse). A token is given again to the same client with the same
// credential, at the same address, for the same scope and resources, if it is
// not revoked, has half its life before it, and would be signed with the same
// key. Whatever changes the client, what its roles give it or the catalogue
// ends it, since the client's rights are then worked out anew: [holder] is
// another.
type reuse struct {
	within time.Duration
	cfg    *Config

	mu     sync.Mutex
	tokens map[reuseKey]*reusable
	each   map[string]int // by organization
	swept  time.Time
}

// reuseKey is what must be the same. asked is a hash of scope and resources,
// which may be long.
type reuseKey struct {
	client, credential, ip string
	asked                  [sha256.Size]byte
}

// reusable is a token that was given out. Its holder is known again by it, and
// not kept: a client that changes often would fill the memory with what it was.
// As long as the holder is the same, so are its credentials, though they may
// have been read anew (a stranger's wrong guess does that).
type reusable struct {
	holder   weak.Pointer[holder]
	org      string
	claims   *verify.Claims
	form     keyring.Form
	response TokenResponse
	issued   time.Time
}

// newReuse returns nil if tokens are not given out again.
func newReuse(cfg *Config) *reuse {
	if cfg.Reuse == 0 {
		return nil
	}
	return &reuse{within: cfg.Reuse, cfg: cfg, tokens: map[reuseKey]*reusable{}, each: map[string]int{}}
}

// takes reports whether the token of a request may be one that was given out
// before. An assertion, a certificate or a proof is for one token.
func (u *reuse) takes(i *issuance) bool {
	return u != nil && i.client.Kind == store.CredentialSecret && i.client.Ceiling == nil && !i.request.Fresh &&
		i.request.GrantType == grantClientCredentials && len(i.request.Proofs) == 0
}

func (i *issuance) reuseKey() reuseKey {
	asked := append([]string{strconv.Itoa(len(i.request.Scope)), i.request.Scope}, i.request.Resources...)
	return reuseKey{
		i.client.ClientID, i.client.CredentialID, i.request.IP, sha256.Sum256([]byte(strings.Join(asked, "\x00"))),
	}
}

// again answers a request with a token that was given out before, if there is
// one.
func (u *reuse) again(i *issuance) bool {
	if !u.takes(i) {
		return false
	}
	key, now := i.reuseKey(), u.cfg.Clock()
	u.mu.Lock()
	defer u.mu.Unlock()
	t := u.tokens[key]
	if t == nil {
		return false
	}
	if !u.good(t, i, now) {
		u.drop(key, t)
		return false
	}
	i.response = t.response
	i.response.ExpiresIn = int64(t.claims.ExpiresAt.Sub(now) / time.Second)
	i.response.Reused = true
	return true
}

// good reports whether a token may be given out once more.
func (u *reuse) good(t *reusable, i *issuance, now time.Time) bool {
	if t.holder != weak.Make(i.holder) || u.over(t, now) ||
		!u.cfg.Keyring.SignedByActive(t.form, t.response.AccessToken) {
		return false
	}
	if _, revoked := u.cfg.Revocations.Revoked(t.claims); revoked {
		return false
	}
	_, expiresAt := i.lifetime() // of a credential or a grant that ends sooner
	return !t.claims.ExpiresAt.After(time.Unix(expiresAt, 0))
}

// over reports whether a token is too old to be given out.
func (u *reuse) over(t *reusable, now time.Time) bool {
	life := t.claims.ExpiresAt.Sub(t.claims.IssuedAt)
	return now.Before(t.issued) || now.Sub(t.issued) >= u.within || t.claims.ExpiresAt.Sub(now) < life/2
}

// keep remembers a token that was just minted.
func (u *reuse) keep(i *issuance) {
	if !u.takes(i) || i.response.Bound != "" {
		return
	}
	claims, err := verify.Unverified(i.response.AccessToken)
	if err != nil {
		return // longer than any verifier takes: max_size is 0
	}
	key, now := i.reuseKey(), u.cfg.Clock()
	u.mu.Lock()
	defer u.mu.Unlock()
	if old := u.tokens[key]; old != nil {
		u.drop(key, old)
	}
	if len(u.tokens) >= maxReused || u.each[i.client.OrgID] >= maxReusedEach {
		u.sweep(now)
	}
	if len(u.tokens) >= maxReused || u.each[i.client.OrgID] >= maxReusedEach {
		return
	}
	u.tokens[key] = &reusable{
		weak.Make(i.holder), i.client.OrgID, claims, i.decision.profile.form, i.response, now,
	}
	u.each[i.client.OrgID]++
}

// sweep drops what is too old, once in a while.
func (u *reuse) sweep(now time.Time) {
	if since := now.Sub(u.swept); since >= 0 && since < sweepEvery {
		return
	}
	u.swept = now
	for key, t := range u.tokens {
		if u.over(t, now) {
			u.drop(key, t)
		}
	}
}

func (u *reuse) drop(key reuseKey, t *reusable) {
	delete(u.tokens, key)
	if u.each[t.org]--; u.each[t.org] <= 0 {
		delete(u.each, t.org)
	}
}
