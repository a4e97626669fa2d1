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

// receiptWithin spreads the receipts of all subscribers, so that the server can
// send an entry to all of them before the receipts arrive.
const receiptWithin = 20 * time.Millisecond

// receipts has what the issuer is to be told: the newest cursor up to which the
// feed is enforced here.
type receipts struct {
	wake chan struct{}

	mu     sync.Mutex
	cursor string
}

func (r *receipts) due(cursor string) {
	r.mu.Lock()
	r.cursor = cursor
	r.mu.Unlock()
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *receipts) newest() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.cursor
}

// confirm tells the issuer up to where the feed is enforced here, with one
// receipt at a time; what becomes due meanwhile goes with the next one. The
// issuer needs it for callers that wait for a revocation. Nothing here depends
// on it.
func (f *subscriber) confirm(ctx context.Context) {
	refused := false // and logged
	for {
		select {
		case <-ctx.Done():
			return
		case <-f.receipts.wake:
		}
		if !sleep(ctx, mathrand.N(receiptWithin)) {
			return
		}
		for failures := 1; ; failures++ {
			err := f.acknowledge(ctx, f.receipts.newest())
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
			if !sleep(ctx, feedBackoff.Wait(failures, askedToWait(err))) {
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
