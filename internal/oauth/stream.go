package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/wire"
)

// writeWithin is how long one write to a subscriber may take. The deadline is
// set anew once half of it is spent, not for each write.
const writeWithin = 10 * time.Second

// stream serves the feed as server-sent events.
//
// Without Last-Event-ID, or with one that is not of this log, it begins with a
// snapshot. Its events each hold a part, all but the last with "more". Only the
// last has an id, so a snapshot that was cut off is begun anew. With a
// Last-Event-ID the stream begins with what came after that.
//
// Then follow the revocations as they happen, and a sign of life every few
// seconds.
func (e *Endpoints) stream(c *gin.Context, who feed.Subscriber, text string) {
	ctx := request.Context(c)
	cursor, ok := feed.ParseCursor(c.GetHeader(wire.HeaderLastEventID))
	if !ok {
		cursor = 0
	}
	place, err := e.cfg.Feed.Open(who)
	if err != nil {
		e.refuse(c, who.ClientID, full())
		return
	}
	why := "fault"
	defer func() { e.cfg.Feed.Leave(place, why) }()
	request.Release(c) // a stream has a place of its own, which bounds how many wait to begin
	from, head, err := e.cfg.Feed.Begin(ctx, cursor)
	if err != nil {
		why = "unavailable"
		e.refuse(c, who.ClientID, unreadable(err))
		return
	}
	h := c.Writer.Header()
	h["Content-Type"], h["Cache-Control"] = []string{wire.EventStream}, noStore
	h.Set("X-Accel-Buffering", "no") // nginx would hold events back
	if request.IsHead(c.Request) {
		why = feed.EndGone
		c.Status(http.StatusOK)
		return
	}
	limits.ConnFrom(ctx).Hold()
	w := &eventWriter{w: c.Writer, control: http.NewResponseController(c.Writer)}
	_ = w.control.SetReadDeadline(time.Time{}) // else the server's own would end the request's context
	c.Writer.WriteHeader(http.StatusOK)
	request.Of(c).Answered = time.Now()
	f := subscription{endpoints: e, place: place, text: text, w: w}
	why = f.run(ctx, from, head)
	if why == feed.EndReset && place.Last != nil {
		_ = w.write(place.Last)
	}
	end := oautherr.Error{Reason: "stream_" + why}
	recordOutcome(c, who.ClientID, &end)
}

// eventWriter sends each write at once, with a deadline.
type eventWriter struct {
	w        http.ResponseWriter
	control  *http.ResponseController
	deadline time.Time
}

func (w *eventWriter) write(chunks ...[]byte) error {
	if now := time.Now(); w.deadline.Before(now.Add(writeWithin / 2)) {
		w.deadline = now.Add(writeWithin)
		if err := w.control.SetWriteDeadline(w.deadline); err != nil {
			return err
		}
	}
	for _, chunk := range chunks {
		if _, err := w.w.Write(chunk); err != nil {
			return err
		}
	}
	return w.control.Flush()
}

// subscription is one stream at work.
type subscription struct {
	endpoints *Endpoints
	place     *feed.Stream
	text      string // the token that opened it
	w         *eventWriter
}

// run serves the stream and returns why it ended, as a word for the log.
func (f *subscription) run(ctx context.Context, from, head int64) string {
	cursor, why := f.snapshot(ctx, from, head)
	for why == "" {
		missing, live := f.endpoints.cfg.Feed.Subscribe(f.place, cursor)
		if live {
			if err := f.w.write(missing); err != nil {
				return f.broken(err)
			}
			return f.live(ctx)
		}
		cursor, why = f.fromTable(ctx, cursor)
	}
	return why
}

// snapshot writes everything up to head if the subscriber holds nothing.
func (f *subscription) snapshot(ctx context.Context, from, head int64) (cursor int64, why string) {
	for after := from; from == 0; {
		page, err := f.endpoints.cfg.Feed.Page(ctx, f.place.Scope, after, head)
		if err != nil {
			return 0, "unavailable"
		}
		id := "" // only the last part has one
		if !page.More {
			id = page.Cursor()
		}
		data := wire.AppendPage(nil, wire.Page[[]json.RawMessage]{More: page.More, Revocations: page.Entries})
		if err := f.w.write(wire.AppendEvent(nil, wire.EventSnapshot, id, data)); err != nil {
			return 0, f.broken(err)
		}
		if why := f.over(ctx); why != "" {
			return 0, why
		}
		if !page.More {
			return head, ""
		}
		after = page.Next
	}
	return from, ""
}

// fromTable writes what came after the cursor and is not in memory any more.
func (f *subscription) fromTable(ctx context.Context, cursor int64) (next int64, why string) {
	page, err := f.endpoints.cfg.Feed.Page(ctx, f.place.Scope, cursor, f.endpoints.cfg.Feed.Head())
	if err != nil {
		return cursor, "unavailable"
	}
	var events []byte
	for i, entry := range page.Entries {
		id := ""
		if i == len(page.Entries)-1 { // the part is whole
			id = page.Cursor()
		}
		events = wire.AppendEvent(events, wire.EventRevocation, id, entry)
	}
	if err := f.w.write(events); err != nil {
		return cursor, f.broken(err)
	}
	return page.Next, f.over(ctx)
}

// live passes on what comes, until one of the sides ends the stream or the
// token ceases to be good. It checks the token each time, so at least with each
// sign of life.
func (f *subscription) live(ctx context.Context) string {
	defer context.AfterFunc(ctx, func() { f.endpoints.cfg.Feed.End(f.place, feed.EndGone) })()
	var batch [][]byte
	for chunk := range f.place.Chunks {
		batch = append(batch[:0], chunk)
		for len(f.place.Chunks) > 0 {
			batch = append(batch, <-f.place.Chunks)
		}
		if why := f.over(ctx); why != "" {
			return why
		}
		if err := f.w.write(batch...); err != nil {
			return f.broken(err)
		}
		clear(batch) // chunks are shared; hold none while waiting
	}
	return f.place.Why
}

// broken returns why a write failed. After it net/http says that the subscriber
// has gone, whatever the cause.
func (f *subscription) broken(err error) string {
	select {
	case <-f.place.Ended:
		if f.place.Why != feed.EndGone {
			return f.place.Why
		}
	default:
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return feed.EndSlow
	}
	return feed.EndGone
}

// over returns why the stream must end now. It returns "" if it need not.
func (f *subscription) over(ctx context.Context) string {
	select {
	case <-ctx.Done():
		return feed.EndGone
	case <-f.place.Ended:
		return f.place.Why
	default:
	}
	asker, refusal := f.endpoints.cfg.Token.StillIntrospector(ctx, f.text)
	if refusal != nil && refusal.Status == http.StatusServiceUnavailable {
		// Nothing speaks against the token. A node that can't read the log ends
		// its streams by itself.
		return ""
	}
	if refusal != nil || !asker.Privileged || asker.Operator != f.place.Operator {
		return "token"
	}
	return ""
}
