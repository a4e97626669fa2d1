package token

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/dpop"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/pkg/svcauth"
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
		Clock: cfg.Clock, InTurn: func(ctx context.Context, owner string, check func() bool) error {
			return clientauth.InTurn(ctx, cfg.Costly, owner, check)
		},
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
	Key         string `json:"jkt,omitempty"`      // RFC 9449 §6.1
	Certificate string `json:"x5t#S256,omitempty"` // RFC 8705 §3.1
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
//
// A certificate binds only the tokens of an account that asks for it: meshes
// and browsers show one whether the client means it or not, and its API may
// never see it.
func (i *issuance) bind(ctx context.Context, d decision) (b bound, refusal *oautherr.Error) {
	demanded, withProof := i.client.TokenBinding, len(i.request.Proofs) > 0
	var certificate string
	if demanded == svcauth.TokenBindingMTLS || demanded == svcauth.TokenBindingAny && !withProof {
		if shown := i.client.Certificate; shown.Leaf != nil && !shown.Unverified {
			certificate = dpop.CertificateThumbprint(shown.Leaf)
		}
	}
	refusal = lacksBinding(demanded, withProof, certificate != "")
	if refusal == nil && len(d.binding) > 0 && !withProof && certificate == "" {
		refusal = notBound("the role %s is given by bound tokens only: send a DPoP proof in the header field DPoP "+
			"(RFC 9449), or ask by scope for privileges of other roles", quote(d.binding[0]))
	}
	if refusal != nil {
		return bound{}, refusal
	}
	if !withProof {
		if certificate != "" {
			b.confirmation = &confirmation{Certificate: certificate}
		}
		return b, nil
	}
	proof, err := i.service.proofs.Check(ctx, dpop.Request{
		Proofs: i.request.Proofs, Method: i.request.Method, Bases: i.service.bases, Path: i.request.Path,
		Owner: i.client.OrgID,
	})
	if err != nil {
		return bound{}, refusedProof(err)
	}
	return bound{&confirmation{Key: proof.Thumbprint, Certificate: certificate}, &proof}, nil
}

// lacksBinding refuses a request that shows nothing of what the tokens of its
// account must be bound to.
func lacksBinding(demanded string, withProof, withCertificate bool) *oautherr.Error {
	if svcauth.BoundAs(demanded, withProof, withCertificate) {
		return nil
	}
	return notBound("the tokens of this service account must be bound (token_binding: %s): send %s", demanded,
		binds(demanded))
}

// binds says what to send for a token that is bound as demanded.
func binds(demanded string) string {
	switch demanded {
	case svcauth.TokenBindingDPoP:
		return "a DPoP proof in the header field DPoP (RFC 9449)"
	case svcauth.TokenBindingMTLS:
		return "the request over mutual TLS, with a client certificate (RFC 8705 section 3)"
	}
	return "a DPoP proof in the header field DPoP (RFC 9449), or the request over mutual TLS with a certificate"
}

func notBound(format string, args ...any) *oautherr.Error {
	return oautherr.New(oautherr.CodeInvalidRequest, "not_bound", format, args...)
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

// BoundKey and BoundCertificate are what the log and the metrics call a token
// that is bound to the key of a proof or to a certificate, and BoundBoth one
// that is to both.
const (
	BoundKey         = svcauth.TokenBindingDPoP
	BoundCertificate = svcauth.TokenBindingMTLS
	BoundBoth        = BoundKey + "+" + BoundCertificate
)

// record says in the record of a token what it is bound to.
func (c *confirmation) record(r *cache.TokenRecord) {
	if c != nil {
		r.BoundKey, r.BoundCertificate = c.Key, c.Certificate
	}
}

// describe says in an answer how the token is sent (RFC 6750 §6.1.1, RFC 9449
// §5), and has the nonce for the client's next proof.
func (b bound) describe(r *TokenResponse) {
	r.Type = typeBearer
	if b.proof != nil {
		r.Type, r.Bound, r.Nonce = dpop.Scheme, BoundKey, b.proof.Nonce
	}
	if b.confirmation != nil && b.confirmation.Certificate != "" {
		if r.Bound = BoundCertificate; b.proof != nil {
			r.Bound = BoundBoth
		}
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
