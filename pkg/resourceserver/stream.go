package resourceserver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// errNoStream says that there is none to follow: the feed must be polled.
var errNoStream = errors.New("the issuer gives no stream of events")

var errSilent = errors.New("the stream of revocations is silent: not even a sign of life came")

// maxEventSize bounds one event; svcauth's largest has some 300 KB.
const maxEventSize = maxPageSize

// silence is for how long a stream may say nothing.
func (f *subscriber) silence() time.Duration {
	return min(maxSilence, max(minSilence, f.cfg.MaxStaleness/2))
}

// stream follows the feed until it is cut. The cursor moves with what was applied,
// so that the next stream goes on from there.
func (f *subscriber) stream(ctx context.Context) error {
	at, err := f.endpoint(ctx)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := time.AfterFunc(f.silence(), func() { cancel(errSilent) })
	defer alive.Stop()
	s := &streaming{subscriber: f}
	s.begin(f)
	defer s.end()
	heard, err := f.listen(ctx, at, alive, s)
	if cause := context.Cause(ctx); errors.Is(cause, errSilent) {
		if heard {
			return cause
		}
		return fmt.Errorf("%w: %w", errNoStream, cause) // a proxy may be holding it back
	}
	return err
}

// listen says also whether anything came.
func (f *subscriber) listen(ctx context.Context, at string, alive *time.Timer, s *streaming) (heard bool, err error) {
	req, token, err := f.request(ctx, http.MethodGet, at, "text/event-stream, application/json;q=0.5", nil)
	if err != nil {
		return true, err // not the stream's fault
	}
	if f.cursor != "" {
		req.Header.Set("Last-Event-ID", f.cursor)
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
		return true, expect(resp, at, "text/event-stream")
	case resp.StatusCode == http.StatusNotAcceptable, resp.StatusCode == http.StatusOK && kind == "application/json":
		return true, errNoStream
	}
	if err := expect(resp, at, "text/event-stream"); err != nil {
		return true, err
	}
	wire := &watched{Reader: resp.Body, alive: alive, silence: f.silence()}
	events := eventReader{in: bufio.NewReaderSize(wire, 4<<10)}
	for {
		e, err := events.next()
		if err == nil {
			err = s.apply(e, events.in.Buffered() == 0)
		}
		if err != nil {
			return wire.heard, err
		}
	}
}

// watched notes each sign of life.
type watched struct {
	io.Reader
	alive   *time.Timer
	silence time.Duration
	heard   bool
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.heard = true
		w.alive.Reset(w.silence)
	}
	return n, err
}

// event is one server-sent event, or an id or a comment without one.
type event struct {
	name  string
	id    string
	data  []byte
	alive bool // a sign of life
}

// eventReader reads events (WHATWG HTML §9.2.6), each whole or not at all.
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
			return event{}, err // also io.EOF in mid-event: what has come of it is nothing
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
			e.alive = e.alive || string(value) == "heartbeat"
		case "event":
			e.name = string(value)
			e.alive = e.alive || e.name == "heartbeat"
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
	unsaid bool // something was applied that no receipt has been asked for
	proved bool
}

// apply puts an event into force. last says that no further one has arrived yet.
func (s *streaming) apply(e event, last bool) error {
	switch {
	case e.name == "snapshot":
		var page feedPage
		if err := json.Unmarshal(e.data, &page); err != nil {
			return fmt.Errorf("a snapshot of the revocation feed can't be read: %w", err)
		}
		return s.snapshot(page, e.id)
	case e.name == "revocation":
		var entry svcauth.Revocation
		if err := json.Unmarshal(e.data, &entry); err != nil {
			return fmt.Errorf("an event of the revocation feed can't be read: %w", err)
		}
		if err := s.admit(entries{entry}); err != nil {
			return err
		}
		s.unsaid = true
	case e.name == "keys":
		s.rekey()
	}
	if s.subscriber.cursor == "" {
		return nil // nothing counts before the snapshot
	}
	if e.id != "" {
		if !validCursor(e.id) {
			return errNowhere
		}
		s.subscriber.cursor = e.id
	}
	if e.alive {
		s.prove(s.cfg.Clock())
		if !s.proved {
			s.rekey() // nobody told us of changes before this stream
		}
		s.unsaid, s.proved = s.unsaid || !s.proved, true
	}
	if s.unsaid && last && s.proved {
		s.unsaid = false
		s.receipts.due(s.subscriber.cursor)
	}
	return nil
}

// snapshot takes one part. What is held stays in force until the last has come,
// which alone has an id.
func (s *streaming) snapshot(page feedPage, id string) error {
	if s.next == nil {
		s.anew(s.subscriber)
	}
	if err := s.add(s.subscriber, page); err != nil {
		return err
	}
	if page.More {
		return nil
	}
	if !validCursor(id) {
		return errors.New("a snapshot of the revocation feed has no id; expected the cursor that it leads to")
	}
	s.commit(s.subscriber, id)
	s.unsaid = true
	return nil
}
