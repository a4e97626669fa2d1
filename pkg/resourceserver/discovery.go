package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

const (
	maxMetadataSize = 256 << 10
	metadataAge     = time.Hour // endpoints hardly ever move, and a failed key fetch asks again earlier
)

// metadata is the part of RFC 8414 §2 that a resource server needs.
type metadata struct {
	Issuer             string `json:"issuer"`
	JWKSURI            string `json:"jwks_uri"`
	Introspection      string `json:"introspection_endpoint"`
	RevocationFeed     string `json:"revocation_feed_endpoint"` // svcauth's own
	fetched, notBefore time.Time
}

// discovery finds the issuer's endpoints and remembers them.
type discovery struct {
	issuer string
	fetch  *fetcher
	clock  func() time.Time
	turn   chan struct{} // holds one ticket: one fetch at a time, and waiting for it can be given up
	last   *metadata     // guarded by turn
}

func newDiscovery(issuer string, fetch *fetcher, clock func() time.Time) *discovery {
	d := &discovery{issuer: issuer, fetch: fetch, clock: clock, turn: make(chan struct{}, 1)}
	d.turn <- struct{}{}
	return d
}

// get returns the metadata. It fetches them if they are old or anew is set; if
// that fails it returns the old ones.
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

// load asks at the path of RFC 8414 §3.1 first, then at that of OpenID discovery.
func (d *discovery) load(ctx context.Context) (*metadata, error) {
	oauth, openid := wellKnown(d.issuer)
	m, first := d.loadFrom(ctx, oauth)
	if first == nil {
		return m, nil
	}
	var status *statusError
	if !errors.As(first, &status) && !errors.Is(first, errMediaType) {
		return nil, first // no answer, or a wrong one: the other path would not be better
	}
	m, second := d.loadFrom(ctx, openid)
	if second != nil {
		return nil, errors.Join(first, second)
	}
	return m, nil
}

// wellKnown returns both metadata URLs. RFC 8414 §3.1 puts the well-known part
// before the issuer's path, OpenID Connect Discovery after it.
func wellKnown(issuer string) (oauth, openid string) {
	issuer = strings.TrimSuffix(issuer, "/")
	openid = issuer + "/.well-known/openid-configuration"
	u, err := url.Parse(issuer)
	if err != nil {
		return openid, openid
	}
	path := u.EscapedPath()
	return strings.TrimSuffix(issuer, path) + "/.well-known/oauth-authorization-server" + path, openid
}

func (d *discovery) loadFrom(ctx context.Context, at string) (*metadata, error) {
	a, err := d.fetch.get(ctx, at, "", maxMetadataSize, "application/json")
	if err != nil {
		return nil, err
	}
	m := new(metadata)
	if err := json.Unmarshal(a.body, m); err != nil {
		return nil, fmt.Errorf("%s: not the JSON of RFC 8414: %w", at, err)
	}
	if m.Issuer != d.issuer { // RFC 8414 §3.3: identical, so that nobody's metadata passes for another's
		return nil, fmt.Errorf("%s: the metadata is of issuer %q, expected %q to the letter", at, printable(m.Issuer, 200), printable(d.issuer, 200))
	}
	for name, endpoint := range map[string]string{"jwks_uri": m.JWKSURI, "introspection_endpoint": m.Introspection, "revocation_feed_endpoint": m.RevocationFeed} {
		if endpoint == "" && name != "jwks_uri" {
			continue
		}
		if err := httpx.CheckEndpoint(d.issuer, endpoint); err != nil {
			return nil, fmt.Errorf("%s: the %s %w", at, name, err)
		}
	}
	return m, nil
}
