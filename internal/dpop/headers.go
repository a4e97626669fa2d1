package dpop

import (
	"strings"
	"sync"

	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/verify"
)

// maxHeaders bounds how many headers are remembered, of some 500 bytes each
// with a key on a curve. No key that is taken needs more than maxHeaderSize:
// what is longer has been filled up.
const (
	maxHeaders    = 4096
	maxHeaderSize = 1 << 10
)

// headers remembers the headers of proofs that were found right, with their
// keys: a client's are all the same, and reading one costs a third of a
// signature. It says nothing of what is good: each signature is checked.
type headers struct {
	mu   sync.RWMutex
	byID map[string]header
}

type header struct {
	jws verify.JWS // of which only the header counts
	key jwk.Verifier
}

func (h *headers) find(encoded string) (header, bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	found, ok := h.byID[encoded]
	return found, ok
}

func (h *headers) jws(encoded string) (verify.JWS, bool) {
	found, ok := h.find(encoded)
	return found.jws, ok
}

func (h *headers) key(encoded string) (jwk.Verifier, bool) {
	found, ok := h.find(encoded)
	return found.key, ok
}

// keep adds a header, unless it is long. If there is no room, any other goes.
func (h *headers) keep(jws verify.JWS, key jwk.Verifier) {
	if len(jws.Header()) > maxHeaderSize {
		return
	}
	encoded := strings.Clone(jws.Header()) // the rest of the request is not kept for it
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.byID == nil {
		h.byID = make(map[string]header)
	}
	for other := range h.byID {
		if len(h.byID) < maxHeaders {
			break
		}
		delete(h.byID, other)
	}
	h.byID[encoded] = header{verify.JWS{Alg: jws.Alg, Typ: strings.Clone(jws.Typ), JWK: jws.JWK}, key}
}
