package clientauth

import (
	"context"
	"crypto"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/remotekeys"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// clientKeySet is a set of public keys that a client publishes (jwks_uri, RFC
// 7591 §2).
type clientKeySet struct {
	store.StoredCredential
	source   remotekeys.Source
	tokenURL bool // the token URL may be the audience
}

// clientKeySets returns where a client publishes keys, the newest first. It
// leaves out what it can't read.
func clientKeySets(stored []store.StoredCredential) (sets []clientKeySet) {
	for _, one := range stored {
		material, err := store.ParseKeyMaterial(one.Material)
		if err == nil && material.JWKSURI != "" {
			source := remotekeys.Source{URL: material.JWKSURI}
			sets = append(sets, clientKeySet{one, source, material.AcceptTokenURLAudience})
		}
	}
	slices.SortFunc(sets, func(a, b clientKeySet) int { return strings.Compare(b.ID, a.ID) })
	return sets
}

// search looks for the key that has signed an assertion.
type search struct {
	*Assertion
	tokenURL bool             // its aud is the token URL
	work     *federation.Work // what it may still cost the request
	away     bool             // the keys of a set could not be fetched
}

// signedBy reports whether a key has signed the assertion. It reports false
// once too many signatures were checked for the request.
func (s *search) signedBy(ctx context.Context, key crypto.PublicKey) bool {
	return s.work.TakeSignature() && s.work.SignedBy(ctx, &s.JWS, key)
}

// amongOwn returns the registered key that has signed the assertion, or nil.
func (s *search) amongOwn(ctx context.Context, keys []clientKey) *store.StoredCredential {
	for i := range keys {
		key := &keys[i]
		if (key.tokenURL || !s.tokenURL) && key.mayHaveSigned(s.Assertion) && s.signedBy(ctx, key.Key) {
			return &key.StoredCredential
		}
	}
	return nil
}

// amongPublished returns the credential whose published keys have signed the
// assertion, or nil; detail is for the client's organization then. The sets in
// memory come first. Then one is fetched, that which most likely has the key:
// by now everything that the assertion says of itself was found right. The
// fetch takes time that an unknown client does not, which can't be helped; so
// whoever sends a kid that nobody has learns, once in 30 seconds, that the
// client publishes its keys. The error is that of a caller who is gone.
func (p *PrivateKey) amongPublished(ctx context.Context, client *Client, s *search) (
	found *store.StoredCredential, detail string, err error,
) {
	set, next, detail := p.amongKept(ctx, client.keySets, s)
	switch {
	case set != nil:
		return &set.StoredCredential, "", nil
	case next == nil || !s.work.TakeFetch():
		return nil, detail, nil
	}
	keys, err := p.cfg.Keys.Get(ctx, client.OrgID, client.Operator, next.source, s.JWS.Kid)
	switch {
	case ctx.Err() != nil:
		return nil, "", oautherr.From(ctx.Err())
	case err != nil:
		s.away = true
		return nil, next.unusable(err), nil
	case s.amongFetched(ctx, keys):
		return &next.StoredCredential, "", nil
	}
	return nil, next.without(keys, s), nil
}

// amongKept returns the set in memory whose keys have signed the assertion, or
// else the one to be fetched, if there is one.
func (p *PrivateKey) amongKept(
	ctx context.Context, sets []clientKeySet, s *search,
) (found, next *clientKeySet, detail string) {
	least := remotekeys.NoNeed
	for i := range sets {
		set := &sets[i]
		if s.tokenURL && !set.tokenURL {
			continue
		}
		keys, need, err := p.cfg.Keys.InMemory(set.source, s.JWS.Kid)
		switch {
		case err != nil:
			s.away, detail = true, set.unusable(err)
		case need != remotekeys.NoNeed:
			if next == nil || need < least {
				next, least = set, need
			}
		case s.amongFetched(ctx, keys):
			return set, nil, ""
		default:
			detail = set.without(keys, s)
		}
	}
	return nil, next, detail
}

// amongFetched reports whether one of some keys has signed the assertion.
func (s *search) amongFetched(ctx context.Context, keys []jwk.Verifier) bool {
	return slices.ContainsFunc(keys, func(key jwk.Verifier) bool { return s.fits(key) && s.signedBy(ctx, key.Key) })
}

func (s *search) fits(key jwk.Verifier) bool { return key.Fits(s.JWS.Alg, s.JWS.Kid) }

// unusable says why nothing was checked with a set.
func (s *clientKeySet) unusable(err error) string {
	return s.called() + " could not be used: " + err.Error() + ". "
}

// without says that none of a set's keys may have signed an assertion, if so.
func (s *clientKeySet) without(keys []jwk.Verifier, by *search) string {
	if slices.ContainsFunc(keys, by.fits) {
		return ""
	}
	return s.called() + " has no key with the assertion's alg and kid; it is asked for new ones at most once in 30 s. "
}

func (s *clientKeySet) called() string {
	return "The key set of " + s.ID + " (" + untrusted.Quotable(s.source.URL, maxShown) + ")"
}

// maxShown bounds what others have chosen where it is shown, in bytes.
const maxShown = 256
