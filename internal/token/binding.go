package token

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/oautherr"
)

// DPoP says how proofs are judged (RFC 9449).
type DPoP struct {
	Nonce  dpop.Mode
	Shared bool // all nodes remember which were used, through Redis
}

// newProofs returns what checks proofs: those of token requests, and those that
// come with our own tokens.
func newProofs(cfg Config) *dpop.Checker {
	replays := dpop.Replays(dpop.NewMemory(dpop.DefaultRemember))
	if cfg.DPoP.Shared {
		replays = sharedReplays{replays, cfg.Cache}
	}
	return dpop.NewChecker(dpop.Config{
		Mode: cfg.DPoP.Nonce, Nonces: dpop.NewNonces(cfg.Keyring.SharedKey, cfg.Clock), Replays: replays,
		Clock: cfg.Clock,
	})
}

// sharedReplays remembers used proofs in this process and, with all nodes, in
// Redis. If Redis is away or has forgotten, each process's memory decides.
type sharedReplays struct {
	own   dpop.Replays
	cache *cache.Cache
}

// Use implements [dpop.Replays].
func (r sharedReplays) Use(ctx context.Context, u dpop.Use) dpop.Outcome {
	own := r.own.Use(ctx, u)
	if own != dpop.First {
		return own
	}
	first, err := r.cache.OnceAmongNodes(ctx, u.ID, u.Until.Add(time.Second))
	switch {
	case err != nil:
		return own
	case first:
		return dpop.First
	}
	return dpop.Again
}

// confirmation is the claim cnf (RFC 7800 §3.1): what the token is bound to.
type confirmation struct {
	Key string `json:"jkt,omitempty"` // RFC 9449 §6.1
}

// bound is what the token of one request is bound to. The zero value is
// nothing.
type bound struct {
	confirmation *confirmation
	proof        *dpop.Proof
}

// bind checks what the request shows to bind its token. A proof costs a
// signature, so that this comes after all that may refuse the request for less;
// it is used up by [bound.use].
func (i *issuance) bind() (b bound, refusal *oautherr.Error) {
	if len(i.request.Proofs) == 0 {
		return bound{}, nil
	}
	proof, err := i.service.proofs.Check(dpop.Request{
		Proofs: i.request.Proofs, Method: i.request.Method, Bases: i.service.bases, Path: i.request.Path,
	})
	if err != nil {
		return bound{}, refusedProof(err)
	}
	return bound{&confirmation{Key: proof.Thumbprint}, &proof}, nil
}

// use uses up the proof, if there is one.
func (b bound) use(ctx context.Context, s *Service) *oautherr.Error {
	if b.proof == nil {
		return nil
	}
	if err := s.proofs.Use(ctx, *b.proof); err != nil {
		return refusedProof(err)
	}
	return nil
}

// BoundKey is what the log and the metrics call a token that is bound to the
// key of a proof.
const BoundKey = "dpop"

// describe says in an answer how the token is sent (RFC 6750 §6.1.1, RFC 9449
// §5), and has the nonce for the client's next proof.
func (b bound) describe(r *TokenResponse) {
	r.Type = typeBearer
	if b.proof != nil {
		r.Type, r.Bound, r.Nonce = dpop.Scheme, BoundKey, b.proof.Nonce
	}
}

// typeBearer is the token_type of a token that is not bound to a key.
const typeBearer = "Bearer"

// refusedProof returns the answer to a proof that was refused, RFC 9449 §5 and
// §8.
func refusedProof(err error) *oautherr.Error {
	refusal := dpop.Refusal(err)
	if refusal == nil {
		return oautherr.From(err)
	}
	e := oautherr.New(refusal.Code, refusal.Reason, "%s", refusal.Description)
	e.Nonce = refusal.Nonce
	return e
}
