package resourceserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// errNoStream means that there is no stream, so that the feed must be polled.
var errNoStream = errors.New("the issuer gives no stream of events")

var errSilent = errors.New("the stream of revocations is silent: not even a sign of life came")

// maxEventSize bounds one event, in bytes. svcauth's largest have about 300 KB.
const maxEventSize = maxPageSize

// silence returns how long a stream may send nothing.
func (f *subscriber) silence() time.Duration {
	return min(maxSilence, max(minSilence, f.cfg.MaxStaleness/2))
}

// stream reads the feed as a stream until that is cut. The cursor moves with
// what was applied, so that the next stream goes on from there.
func (f *subscriber) stream(ctx context.Context) error {
	at, err := f.endpoint(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := watch(f.silence(), func() { cancel(errSilent) })
	defer alive.timer.Stop()
	s := &streaming{subscriber: f}
	s.begin(f)
	defer s.end()
	heard, err := f.listen(ctx, at, alive, s)
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		if heard {
			return cause
		}
		return fmt.Errorf("%w: %w", errNoStream, cause) // a proxy may hold events back
	}
	return err
}

// listen also reports whether anything was received.
func (f *subscriber) listen(ctx context.Context, at string, alive *watched, s *streaming) (heard bool, err error) {
	req, token, err := f.request(ctx, http.MethodGet, at, wire.EventStream+", application/json;q=0.5", nil)
	if err != nil {
		return true, err // not the stream's fault
	}
	if f.cursor != "" {
		req.Header.Set(wire.HeaderLastEventID, f.cursor)
	}
	resp, err := f.fetch.client.Do(req)
	if err != nil {
		return false, err
	}
	defer resp.Body.Close()
	kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	switch {
	case resp.StatusCode == http.StatusUnauthorized:
		f.cfg.Feed.Drop(token)
		return true, expect(resp, at, wire.EventStream)
	case resp.StatusCode == http.StatusNotAcceptable, resp.StatusCode == http.StatusOK && kind == "application/json":
		return true, errNoStream
	}
	if err := expect(resp, at, wire.EventStream); err != nil {
		return true, err
	}
	alive.Reader = resp.Body
	events := eventReader{in: bufio.NewReaderSize(alive, 4<<10)}
	for {
		e, err := events.next()
		if err == nil {
			err = s.apply(e, events.in.Buffered() == 0)
		}
		if err != nil {
			return alive.heard, err
		}
	}
}

// watched calls silent when nothing has been read for as long as there may be
// silence. The timer is not set anew with each read, which would cost more than
// all else that is done here.
type watched struct {
	io.Reader
	silence time.Duration
	silent  func()
	began   time.Time
	last    atomic.Int64 // when something was read, after began
	timer   *time.Timer
	heard   bool
}

func watch(silence time.Duration, silent func()) *watched {
	w := &watched{silence: silence, silent: silent, began: time.Now()}
	w.timer = time.AfterFunc(math.MaxInt64, w.look)
	w.timer.Reset(silence)
	return w
}

func (w *watched) look() {
	if left := w.silence - (time.Since(w.began) - time.Duration(w.last.Load())); left > 0 {
		w.timer.Reset(left)
		return
	}
	w.silent()
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.heard = true
		w.last.Store(int64(time.Since(w.began)))
	}
	return n, err
}

// event is one server-sent event, or an id or a comment alone.
type event struct {
	name  string
	id    string
	data  []byte
	alive bool // it is a sign of life
}

// eventReader reads events (WHATWG HTML §9.2.6), each completely or not at all.
type eventReader struct {
	in   *bufio.Reader
	data []byte
}

func (r *eventReader) next() (e event, err error) {
	r.data = r.data[:0]
	lines, size := 0, 0
	for {
		line, err := r.line(maxEventSize - size)
		if err != nil {
			return event{}, err // also io.EOF within an event: its beginning is dropped
		}
		if len(line) == 0 {
			e.data = r.data
			return e, nil
		}
		size += len(line)
		name, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(name) {
		case "":
			e.alive = e.alive || string(value) == wire.EventHeartbeat
		case "event":
			e.name = string(value)
			e.alive = e.alive || e.name == wire.EventHeartbeat
		case "id":
			e.id = string(value)
		case "data":
			if lines++; lines > 1 {
				r.data = append(r.data, '\n')
			}
			r.data = append(r.data, value...)
		}
	}
}

// line returns the next line without its end. It is valid until the next call.
func (r *eventReader) line(limit int) ([]byte, error) {
	line, err := r.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		whole := bytes.Clone(line)
		for errors.Is(err, bufio.ErrBufferFull) && len(whole) <= limit {
			line, err = r.in.ReadSlice('\n')
			whole = append(whole, line...)
		}
		line = whole
	}
	if len(line) > limit {
		return nil, fmt.Errorf("an event of the revocation feed is longer than %d bytes", maxEventSize)
	}
	if err != nil {
		return nil, fmt.Errorf("the stream of revocations was cut: %w", err)
	}
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), nil
}

// streaming applies the events of one stream.
type streaming struct {
	*subscriber
	paging
	unsaid bool // something was applied that no receipt is due for yet
	asked  bool // the issuer waits for a receipt
	proved bool
	one    [1]svcauth.Revocation // room for the entry of an event
}

// apply applies an event to the set. last is true if no further event has been
// received yet.
func (s *streaming) apply(e event, last bool) error {
	switch e.name {
	case wire.EventSnapshot:
		return s.snapshot(e)
	case wire.EventRevocation:
		if err := s.revocation(e.data); err != nil {
			return err
		}
	case wire.EventKeys:
		s.rekey()
	case wire.EventConfirm:
		s.asked = true
	}
	if s.subscriber.cursor == "" {
		return nil // nothing else counts before the first snapshot
	}
	if e.id != "" {
		if !validCursor(e.id) {
			return errNowhere
		}
		s.subscriber.cursor = e.id
	}
	if e.alive {
		s.complete()
	}
	if last {
		s.say()
	}
	return nil
}

func (s *streaming) revocation(data []byte) error {
	entry, ok := plainEntry(data)
	if !ok {
		if err := json.Unmarshal(data, &entry); err != nil {
			return fmt.Errorf("an event of the revocation feed can't be read: %w", err)
		}
	}
	s.one[0], s.unsaid = entry, true
	return s.admit(s.one[:])
}

// complete notes that the set has everything that the issuer knows.
func (s *streaming) complete() {
	s.prove(s.cfg.Clock())
	if s.proved {
		return
	}
	s.proved = true
	s.rekey() // changes before this stream were not announced here
	s.receipts.repeat()
	s.asked = true // whoever waits already has asked before
}

// say has a receipt sent if one is due.
func (s *streaming) say() {
	if s.proved && (s.unsaid || s.asked) {
		s.receipts.due(s.subscriber.cursor, s.asked)
		s.unsaid, s.asked = false, false
	}
}

// snapshot takes one part of a snapshot. The entries of the set stay in force
// until the last part has arrived, which is the only one with an id.
func (s *streaming) snapshot(e event) error {
	var page feedPage
	if err := json.Unmarshal(e.data, &page); err != nil {
		return fmt.Errorf("a snapshot of the revocation feed can't be read: %w", err)
	}
	if s.next == nil {
		s.anew(s.subscriber)
	}
	if err := s.add(s.subscriber, page); err != nil {
		return err
	}
	if page.More {
		return nil
	}
	if !validCursor(e.id) {
		return errors.New("a snapshot of the revocation feed has no id; expected the cursor that it leads to")
	}
	s.commit(s.subscriber, e.id)
	s.unsaid = true
	return nil
}
