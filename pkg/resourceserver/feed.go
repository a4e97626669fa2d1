package resourceserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Feed says how the issuer's revocation feed is followed: by asking for what is new, again and again.
type Feed struct {
	// Token gives a bearer token with the privilege tokens:introspect, for example from pkg/tokensource. Required.
	Token func(context.Context) (string, error)
	// Every is how often the feed is asked. Default 1 s; at most half of MaxStaleness.
	Every time.Duration
}

const maxFeedSize = 256 << 20 // a snapshot of a million revocations is some 100 MB

func (f *Feed) withDefaults(maxStaleness time.Duration) (*Feed, error) {
	own := *f
	if own.Token == nil {
		return nil, errors.New("Token is missing; expected a function that gives a bearer token")
	}
	own.Every = orDefault(own.Every, time.Second)
	if own.Every > maxStaleness/2 {
		return nil, fmt.Errorf("Every is %v; expected at most half of MaxStaleness, %v", own.Every, maxStaleness/2)
	}
	return &own, nil
}

// follower keeps the set of revocations the same as the issuer's.
type follower struct {
	cfg    Config
	fetch  *fetcher
	disc   *discovery
	cursor string
	proven atomic.Int64 // when the set was last known to be complete, ms

	mu  sync.Mutex
	err error
}

func newFollower(cfg Config, fetch *fetcher, disc *discovery) *follower {
	return &follower{cfg: cfg, fetch: fetch, disc: disc, err: errors.New("the revocation feed has not been read yet")}
}

func (f *follower) stale() bool {
	return f.cfg.Clock().Sub(time.UnixMilli(f.proven.Load())) > f.cfg.MaxStaleness
}

func (f *follower) lastError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

func (f *follower) run(ctx context.Context) {
	wait := time.Duration(0)
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		began := f.cfg.Clock()
		err := f.poll(ctx)
		f.mu.Lock()
		was := f.err
		f.err = err
		f.mu.Unlock()
		f.cfg.Revocations.Expire(began)
		if err == nil {
			f.proven.Store(began.UnixMilli())
			wait = f.cfg.Feed.Every
			continue
		}
		if was == nil && ctx.Err() == nil {
			f.cfg.Logger.Warn("the revocation feed can't be read", "error", err)
		}
		wait = min(10*time.Second, max(200*time.Millisecond, 2*wait)) * time.Duration(75+rand.IntN(50)) / 100
	}
}

// feedPage is one answer of the feed.
type feedPage struct {
	Cursor      string               `json:"cursor"`
	Snapshot    bool                 `json:"snapshot"`
	Revocations []svcauth.Revocation `json:"revocations"`
}

func (f *follower) poll(ctx context.Context) error {
	meta, err := f.disc.get(ctx, false)
	if err != nil {
		return err
	}
	if meta.RevocationFeed == "" {
		return fmt.Errorf("the issuer's metadata names no revocation_feed_endpoint")
	}
	at := meta.RevocationFeed
	if f.cursor != "" {
		at += "?since=" + url.QueryEscape(f.cursor)
	}
	var page feedPage
	if err := f.call(ctx, http.MethodGet, at, nil, &page); err != nil {
		return err
	}
	if page.Snapshot || f.cursor == "" {
		f.cfg.Revocations.Replace(page.Revocations)
	} else {
		f.cfg.Revocations.Add(page.Revocations...)
	}
	f.cursor = page.Cursor
	return nil
}

// call makes one bounded call with the feed's bearer token and reads a JSON answer.
func (f *follower) call(ctx context.Context, method, at string, form url.Values, into any) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.FetchTimeout)
	defer cancel()
	token, err := f.cfg.Feed.Token(ctx)
	if err != nil {
		return fmt.Errorf("token for the revocation feed: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, method, at, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Svcauth-Resource-Server", f.cfg.Name)
	req.Header.Set("Svcauth-Audience", f.cfg.Audience)
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := f.fetch.client.Do(req)
	if err != nil {
		return err
	}
	defer drop(resp)
	if err := expect(resp, at, "application/json"); err != nil {
		return err
	}
	body, err := readAll(resp.Body, maxFeedSize)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}

// introspect asks the issuer about a token, RFC 7662.
func (v *Verifier) introspect(ctx context.Context, token string) *Error {
	meta, err := v.disc.get(ctx, false)
	if err == nil && meta.Introspection == "" {
		err = errors.New("the issuer's metadata names no introspection_endpoint")
	}
	var answer struct {
		Active bool `json:"active"`
	}
	if err == nil {
		err = v.feed.call(ctx, http.MethodPost, meta.Introspection, url.Values{"token": {token}}, &answer)
	}
	if err != nil {
		return unavailable("revocations could not be followed for too long, and the issuer does not answer; ask again later", err)
	}
	if !answer.Active {
		return revoked()
	}
	return nil
}
