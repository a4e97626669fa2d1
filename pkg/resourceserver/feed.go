package resourceserver

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/wire"
)

// Feed says how to follow the issuer's revocation feed.
//
// The feed is read as a stream of server-sent events, which is resumed where it
// was cut. It is polled instead if the issuer has no streams, or has given all
// of them away (503), or if something on the way holds events back. The stream
// is then tried again later. It is also polled if MaxStaleness is below 10
// seconds, which a stream with signs of life every 5 seconds can't prove.
type Feed struct {
	// Token returns a bearer token for the issuer itself, with the privilege
	// tokens:introspect. BearerToken of a tokensource.Source whose Resource is
	// the issuer does that. Required.
	Token func(context.Context) (string, error)
	// Drop is called with a token that the issuer refused, so that Token
	// returns another one. Drop of a tokensource.Source does that. Default:
	// nothing.
	Drop func(token string)
	// Poll makes the Verifier poll the feed instead of reading a stream.
	Poll bool
	// Every is the time between two polls, at most half of MaxStaleness.
	// Default: 1 second.
	Every time.Duration
	// MaxMemory bounds the estimated memory of the revocations, in bytes: 64
	// for a revoked token, 256 and the length of its names for any other entry.
	// If the feed has more, it is not read further, and the set becomes stale.
	// While a set is read again there may be two of them. Default: 512 MiB, for
	// eight million tokens.
	MaxMemory int64
}

const (
	streamsBelow  = 10 * time.Second       // with a MaxStaleness below it the feed is polled
	maxSilence    = 15 * time.Second       // of a stream; after it, the stream is taken for dead
	minSilence    = 6 * time.Second        // signs of life may be 5 s apart
	pollInstead   = 5 * time.Minute        // after the stream did not work
	pollWhileFull = time.Minute            // at most, after the issuer had no stream for one more
	leastRest     = 250 * time.Millisecond // between two polls, however often Nudge is called
	retryAtMost   = 10 * time.Second
	// comeBackAfter is the longest wait after a working stream ended: the
	// server may have ended many at once.
	comeBackAfter = 500 * time.Millisecond
)

func (f *Feed) withDefaults(maxStaleness time.Duration) (*Feed, error) {
	own := *f
	if own.Token == nil {
		return nil, errors.New("there is no Token; expected a function that gives a bearer token")
	}
	if own.Drop == nil {
		own.Drop = func(string) {}
	}
	if own.Every <= 0 {
		own.Every = min(time.Second, maxStaleness/2)
	}
	if own.Every > maxStaleness/2 {
		return nil, fmt.Errorf(
			"the period Every is %s; expected at most half of MaxStaleness, %s",
			timespan.Text(own.Every), timespan.Text(maxStaleness/2),
		)
	}
	if own.MaxMemory <= 0 {
		own.MaxMemory = 512 << 20
	}
	own.Poll = own.Poll || maxStaleness < streamsBelow
	return &own, nil
}

// subscriber keeps the set of revocations the same as the issuer's.
type subscriber struct {
	cfg      Config
	fetch    *fetcher
	disc     *discovery
	instance string // tells this process apart from others of the same client
	receipts receipts
	news     chan struct{} // the feed may have something new
	rekey    func()        // called when the issuer's keys may have changed
	cursor   string        // the set has everything up to it; only run uses it
	// held is how many bytes were put into the set since it was last read
	// whole; only run uses it.
	held   int64
	proven atomic.Pointer[time.Time] // when the set was last known to be complete

	mu  sync.Mutex
	err error
	// logged is the cause in the log's last line about a feed that can't be
	// followed. It is empty before the first failure, and while the feed is
	// followed.
	logged string
}

func newSubscriber(cfg Config, fetch *fetcher, disc *discovery, rekey func()) *subscriber {
	return &subscriber{
		cfg:      cfg,
		fetch:    fetch,
		disc:     disc,
		instance: rand.Text()[:16],
		receipts: newReceipts(),
		news:     make(chan struct{}, 1),
		rekey:    rekey,
		err:      errors.New("the revocation feed has not been read yet"),
	}
}

func (f *subscriber) stale() bool {
	at := f.proven.Load()
	return at == nil || f.cfg.Clock().Sub(*at) > f.cfg.MaxStaleness
}

// prove notes that the set had, at that time, everything that the issuer knew.
func (f *subscriber) prove(at time.Time) {
	f.proven.Store(&at)
	f.failed(nil)
}

func (f *subscriber) lastError() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.err
}

// failed notes why the feed can't be followed, or nil if it is. It logs the
// first failure, one of another kind, and that the feed is followed.
func (f *subscriber) failed(err error) {
	cause := kindOf(err)
	f.mu.Lock()
	was, logged := f.err, f.logged
	f.err, f.logged = err, cause
	f.mu.Unlock()
	f.cfg.progress.send()
	switch {
	case err != nil && cause != logged:
		f.cfg.Logger.Warn("the revocation feed can't be followed", "error", err)
	case was != nil && err == nil:
		f.cfg.Logger.Info("the revocation feed is followed")
	}
}

// kindOf returns what distinguishes a failure from others that an operator
// would mend elsewhere: no answer, or the status of the answer. It is empty for
// nil.
func kindOf(err error) string {
	var status *statusError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &status):
		return strconv.Itoa(status.status)
	}
	return "none"
}

func (f *subscriber) run(ctx context.Context) {
	var done sync.WaitGroup
	defer done.Wait()
	done.Go(func() { f.confirm(ctx) })
	done.Go(func() { f.expire(ctx) })
	failures := 0 // in a row
	var pollUntil time.Time
	full := false // polling because the issuer had no stream for one more
	rest := sleep
	for wait := time.Duration(0); rest(ctx, wait); {
		rest = sleep
		before := f.proven.Load()
		var err error
		if f.cfg.Feed.Poll || time.Now().Before(pollUntil) {
			err = f.poll(ctx)
			if full && (err != nil || failures != 0) {
				pollUntil = time.Time{} // polls fail or failed too: try the stream again
			}
			if err == nil {
				failures, wait, rest = 0, f.untilNextPoll(pollUntil), f.rest
				continue
			}
		} else if err = f.stream(ctx); errors.Is(err, errNoStream) {
			full = false
			f.cfg.Logger.Info("the revocation feed is polled", "reason", err)
			pollUntil, wait = time.Now().Add(pollInstead), 0
			continue
		} else if isFull(err) {
			full = true
			f.cfg.Logger.Debug("the revocation feed has no stream for us now and is polled", "error", err)
			pollUntil, wait = time.Now().Add(pollWhileFull/2+mathrand.N(pollWhileFull/2)),
				feedBackoff.Wait(failures, tooOften(err))
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if f.proven.Load() != before { // it worked until now
			failures, wait = 0, mathrand.N(comeBackAfter)
			f.cfg.Logger.Debug("the revocation feed was cut and is resumed", "error", err)
			continue
		}
		f.failed(err)
		failures++
		wait = untilRetry(failures, err)
	}
}

// untilNextPoll returns how long to wait after a poll: for Feed.Every, and
// where polling ends sooner than that, until then.
func (f *subscriber) untilNextPoll(pollUntil time.Time) time.Duration {
	if f.cfg.Feed.Poll {
		return f.cfg.Feed.Every
	}
	return min(f.cfg.Feed.Every, max(0, time.Until(pollUntil)))
}

// isFull reports whether the issuer has no stream for one more reader now. It
// may still answer polls, which take a place only for a moment.
func isFull(err error) bool {
	var status *statusError
	return errors.As(err, &status) &&
		(status.status == http.StatusServiceUnavailable || status.status == http.StatusTooManyRequests)
}

// rest waits for d, or until there may be something new. It waits for leastRest
// in any case, since anybody may cause the latter.
func (f *subscriber) rest(ctx context.Context, d time.Duration) bool {
	if !sleep(ctx, min(d, leastRest)) {
		return false
	}
	timer := time.NewTimer(max(0, d-leastRest))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-f.news:
		return true
	case <-ctx.Done():
		return false
	}
}

// expire removes entries that no token can match any more.
func (f *subscriber) expire(ctx context.Context) {
	for sleep(ctx, time.Second) {
		f.cfg.revocations.Expire(f.cfg.Clock())
	}
}

func (f *subscriber) endpoint(ctx context.Context) (string, error) {
	meta, err := f.disc.get(ctx, false)
	if err != nil {
		return "", err
	}
	if meta.RevocationFeed == "" {
		return "", errors.New("the issuer's metadata names no revocation_feed_endpoint")
	}
	return meta.RevocationFeed, nil
}

// poll reads everything new, page by page.
func (f *subscriber) poll(ctx context.Context) error {
	began := f.cfg.Clock()
	at, err := f.endpoint(ctx)
	if err != nil {
		return err
	}
	var p paging
	defer p.end()
	for p.begin(f); p.more; {
		from := at
		if p.cursor != "" {
			from += "?" + wire.SinceParam + "=" + url.QueryEscape(p.cursor)
		}
		page, err := f.page(ctx, from, p.cursor != f.cursor)
		if err != nil {
			return err
		}
		if err := p.take(f, page); err != nil {
			return err
		}
	}
	f.prove(began)
	f.receipts.repeat()
	f.receipts.due(f.cursor, true)
	return nil
}

// refusedInARow is how often the same page may be refused before the pages read
// so far are given up.
const refusedInARow = 10

// page reads one page. If other pages were read before it, it waits as the
// issuer asks and tries again: a reader that always started over might never
// reach the end.
func (f *subscriber) page(ctx context.Context, at string, begun bool) (page feedPage, err error) {
	for range refusedInARow {
		err = f.call(ctx, http.MethodGet, at, nil, maxPageSize, &page)
		if told := askedToWait(err); !begun || told == 0 || !sleep(ctx, httpx.Spread(told)) {
			break
		}
	}
	return page, err
}

// request makes a request with the feed's bearer token and headers that name
// this process.
func (f *subscriber) request(
	ctx context.Context,
	method, at, accept string,
	body io.Reader,
) (req *http.Request, token string, err error) {
	token, err = f.cfg.Feed.Token(ctx)
	if err != nil {
		return nil, "", fmt.Errorf("token for the revocation feed: %w", err)
	}
	req, err = http.NewRequestWithContext(ctx, method, at, body)
	if err != nil {
		return nil, "", err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Accept", accept)
	req.Header.Set(wire.HeaderName, f.cfg.Name)
	req.Header.Set(wire.HeaderAudience, untrusted.Quotable(f.cfg.Audience, wire.MaxAudience))
	req.Header.Set(wire.HeaderInstance, f.instance)
	req.Header.Set(wire.HeaderVersion, wire.Version)
	return req, token, nil
}

// call makes one call with the feed's bearer token, bounded by Timeout, and
// decodes a JSON answer of at most limit bytes.
func (f *subscriber) call(ctx context.Context, method, at string, form url.Values, limit int64, into any) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	req, token, err := f.request(ctx, method, at, "application/json", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set(wire.HeaderInterval, f.cfg.Feed.Every.String())
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := f.fetch.client.Do(req)
	if err != nil {
		return err
	}
	defer drop(resp)
	if resp.StatusCode == http.StatusUnauthorized {
		f.cfg.Feed.Drop(token)
	}
	if err := expect(resp, at, "application/json"); err != nil {
		return err
	}
	body, err := httpx.ReadAll(resp.Body, limit)
	if err != nil {
		return err
	}
	return json.Unmarshal(body, into)
}
