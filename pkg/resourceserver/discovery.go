package resourceserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

// metadataAge is how old the metadata may be. Endpoints rarely move, and a
// failed key fetch reads it again earlier.
const metadataAge = time.Hour

// The metadata members that a resource server needs (RFC 8414 §2). The last one
// is svcauth's own.
const (
	jwksURI               = "jwks_uri"
	introspectionEndpoint = "introspection_endpoint"
	feedEndpoint          = "revocation_feed_endpoint"
)

// metadata is the issuer's endpoints. JWKSURI is always set.
type metadata struct {
	JWKSURI, Introspection, RevocationFeed string
	fetched, notBefore                     time.Time
}

// discovery finds the issuer's endpoints and caches them.
type discovery struct {
	issuer string
	fetch  *fetcher
	clock  func() time.Time
	// turn holds one ticket: only its owner fetches, and the wait for it can be
	// cancelled.
	turn chan struct{}
	last *metadata // guarded by turn
}

func newDiscovery(issuer string, fetch *fetcher, clock func() time.Time) *discovery {
	d := &discovery{issuer: issuer, fetch: fetch, clock: clock, turn: make(chan struct{}, 1)}
	d.turn <- struct{}{}
	return d
}

// get returns the metadata. It fetches it if it is old or anew is set. If that
// fails, it returns the old metadata.
func (d *discovery) get(ctx context.Context, anew bool) (*metadata, error) {
	select {
	case <-d.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { d.turn <- struct{}{} }()
	now := d.clock()
	if d.last != nil && (now.Before(d.last.notBefore) || !anew && now.Sub(d.last.fetched) < metadataAge) {
		return d.last, nil
	}
	m, err := d.load(ctx)
	if err == nil {
		m.fetched, m.notBefore = now, now.Add(time.Second)
		d.last = m
		return m, nil
	}
	if d.last != nil {
		return d.last, nil
	}
	return nil, fmt.Errorf("metadata of the issuer: %w", err)
}

func (d *discovery) load(ctx context.Context) (*metadata, error) {
	found, err := httpx.Discover(d.issuer, func(address string) ([]byte, int, error) {
		a, err := d.fetch.get(ctx, address, "", httpx.MaxMetadata, "application/json")
		var status *statusError
		switch {
		case errors.As(err, &status):
			return nil, status.status, err
		case errors.Is(err, errMediaType):
			return nil, http.StatusOK, err
		}
		return a.body, 0, err
	}, jwksURI, introspectionEndpoint, feedEndpoint)
	if err != nil {
		return nil, err
	}
	return &metadata{
		JWKSURI:        found[jwksURI],
		Introspection:  found[introspectionEndpoint],
		RevocationFeed: found[feedEndpoint],
	}, nil
}
