package resourceserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/wire"
)

const (
	// receiptWithin spreads the receipts of all subscribers that the issuer has
	// asked at once.
	receiptWithin = 20 * time.Millisecond
	// receiptLater is how long a receipt that nobody waits for may take, and
	// half of it how long it takes at least: one for all that comes meanwhile.
	receiptLater = 6 * time.Second
)

// receipts has what the issuer is to be told: the newest cursor up to which the
// feed is enforced here.
type receipts struct {
	now   chan struct{} // the issuer wants to know
	later *time.Timer   // fires when it is to be told unasked

	mu     sync.Mutex
	runs   bool // later will fire
	cursor string
	said   string // what the issuer has been told
}

func newReceipts() receipts {
	later := time.NewTimer(receiptLater)
	later.Stop()
	return receipts{now: make(chan struct{}, 1), later: later}
}

// due has a receipt sent, at once or some time later. The latter wakes nobody.
func (r *receipts) due(cursor string, now bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cursor = cursor
	switch {
	case now:
		select {
		case r.now <- struct{}{}:
		default:
		}
	case !r.runs:
		r.runs = true
		r.later.Reset(receiptLater/2 + mathrand.N(receiptLater/2))
	}
}

// settle ends the wait for a later receipt: what is due is about to be said.
func (r *receipts) settle() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.runs = false
	r.later.Stop()
}

// repeat has the next receipt sent even if it says what the last one did.
func (r *receipts) repeat() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = ""
}

// unsaid returns the newest cursor, or "" if the issuer has been told.
func (r *receipts) unsaid() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cursor == r.said {
		return ""
	}
	return r.cursor
}

func (r *receipts) taken(cursor string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.said = cursor
}

// next waits until a receipt is to be sent. It returns false if ctx is done.
func (r *receipts) next(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case <-r.later.C:
		r.settle()
		return true
	case <-r.now:
		r.settle()
		return sleep(ctx, mathrand.N(receiptWithin))
	}
}

// confirm tells the issuer up to where the feed is enforced here, with one
// receipt at a time; what becomes due meanwhile goes with the next one. The
// issuer needs it for callers that wait for a revocation. Nothing here depends
// on it.
func (f *subscriber) confirm(ctx context.Context) {
	refused := false // and logged
	for f.receipts.next(ctx) {
		for failures := 1; ; failures++ {
			cursor := f.receipts.unsaid()
			if cursor == "" {
				break
			}
			err := f.acknowledge(ctx, cursor)
			if err == nil {
				f.receipts.taken(cursor)
			}
			var status *statusError
			if refused = refused && err != nil; err == nil || errors.As(err, &status) &&
				(status.status == http.StatusNotFound || status.status == http.StatusMethodNotAllowed) {
				break // done; or it takes no receipts: try with the next
			}
			switch {
			case ctx.Err() != nil:
			case !refused && status != nil && status.status == http.StatusForbidden:
				refused = true
				f.cfg.Logger.Warn("the issuer refuses receipts: who waits for a revocation "+
					"is not told that it is enforced here", "error", err)
			default:
				f.cfg.Logger.Debug("the issuer did not take a receipt", "error", err)
			}
			if !sleep(ctx, untilRetry(failures, err)) {
				return
			}
		}
	}
}

func (f *subscriber) acknowledge(ctx context.Context, cursor string) error {
	ctx, cancel := context.WithTimeout(ctx, f.cfg.Timeout)
	defer cancel()
	at, err := f.endpoint(ctx)
	if err != nil {
		return err
	}
	body, err := json.Marshal(wire.Receipt{
		Cursor:   cursor,
		Name:     f.cfg.Name,
		Audience: f.cfg.Audience,
		Instance: f.instance,
		Version:  wire.Version,
	})
	if err != nil {
		return err
	}
	req, token, err := f.request(ctx, http.MethodPost, at+wire.ReceiptPath, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.fetch.client.Do(req)
	if err != nil {
		return err
	}
	defer drop(resp)
	switch resp.StatusCode {
	case http.StatusNoContent, http.StatusOK:
		return nil
	case http.StatusUnauthorized:
		f.cfg.Feed.Drop(token)
	}
	return fmt.Errorf("receipt: %w", newStatusError(at+wire.ReceiptPath, resp))
}
