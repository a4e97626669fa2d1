package tokensource

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/possession"
)

const (
	typeBearer = "Bearer"
	typeDPoP   = possession.Scheme

	codeUseNonce     = possession.CodeUseNonce
	codeInvalidProof = "invalid_dpop_proof" // RFC 9449 §12.2

	maxNonces = 100 // origins whose newest nonce is remembered
	maxNonce  = 1024
)

// binder has the key that the tokens of a Source are bound to (RFC 9449), and
// the newest nonce of each origin. The key lives as long as the process: it is
// in no file.
type binder struct {
	maker *possession.Maker
	clock func() time.Time

	mu     sync.Mutex
	nonces map[string]string
}

func newBinder(clock func() time.Time) (*binder, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key for DPoP: %w", err)
	}
	maker, err := possession.NewMaker(key, "")
	if err != nil {
		return nil, fmt.Errorf("make a key for DPoP: %w", err)
	}
	return &binder{maker: maker, clock: clock, nonces: map[string]string{}}, nil
}

// prove adds a proof to a request (RFC 9449 §4.2), with the newest nonce of its
// origin. The token is empty if none goes along.
func (b *binder) prove(req *http.Request, accessToken string) error {
	target := *req.URL
	target.User = nil // it is not sent, and may have a password
	if req.Host != "" {
		target.Host = req.Host // what the server sees
	}
	b.mu.Lock()
	nonce := b.nonces[origin(req.URL)]
	b.mu.Unlock()
	proof, err := b.maker.Make(possession.Of{
		Method: req.Method, URL: target.String(), Nonce: nonce, Token: accessToken, Now: b.clock(),
	})
	if err != nil {
		return fmt.Errorf("make a DPoP proof: %w", err)
	}
	req.Header.Set(possession.Header, proof)
	return nil
}

// note remembers the nonce of an answer (RFC 9449 §8.2), and reports whether
// there is one that the next proof is to carry.
func (b *binder) note(u *url.URL, header http.Header) bool {
	nonce := header.Get(possession.NonceHeader)
	if nonce == "" || len(nonce) > maxNonce {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at := origin(u)
	if _, known := b.nonces[at]; !known && len(b.nonces) >= maxNonces {
		clear(b.nonces) // each is asked for again
	}
	b.nonces[at] = nonce
	return true
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// refusesProof reports whether an API has refused a proof for its nonce (RFC
// 9449 §9), or for another fault (§7.1).
func refusesProof(res *http.Response) bool {
	if res.StatusCode != http.StatusUnauthorized {
		return false
	}
	for _, challenge := range res.Header.Values("WWW-Authenticate") {
		if strings.Contains(challenge, `"`+codeUseNonce+`"`) || strings.Contains(challenge, `"`+codeInvalidProof+`"`) {
			return true
		}
	}
	return false
}

// errNotBound is what a server that binds no tokens gets to hear.
var errNotBound = errors.New("the server has answered a DPoP proof with a Bearer token: it binds no tokens " +
	"(RFC 9449 §5); switch DPoP off to use it")

// errBoundToken is the error of what would give a bound token without its key.
var errBoundToken = errors.New("tokensource: the tokens are bound to the key of the Source (DPoP), and prove nothing " +
	"without it; send requests through Source.Transport")
