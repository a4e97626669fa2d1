package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"math"
	"strconv"
	"sync"
	"time"
)

// jsonHandler writes a record as one line of JSON, in the form of
// [slog.JSONHandler], and cleans its texts on the way. Each request has a line.
// slog's own handler and a pass that cleans before it take twice as long, which
// is 2 of 100 parts of what a token costs.
type jsonHandler struct {
	out   *lockedWriter
	least slog.Level
	attrs []byte   // those of WithAttrs, with the groups that they are in
	open  int      // how many of these groups are open at the end
	empty []string // further groups, which are left out while nothing stands in them
}

type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func newJSONHandler(w io.Writer, least slog.Level) *jsonHandler {
	return &jsonHandler{out: &lockedWriter{w: w}, least: least}
}

// Enabled implements [slog.Handler], as the methods below do.
func (h *jsonHandler) Enabled(_ context.Context, level slog.Level) bool { return level >= h.least }

var lines = sync.Pool{New: func() any { return new([]byte) }}

// maxKeptLine is how long a line may be for its room to be used again.
const maxKeptLine = 16 << 10

// Handle writes the line by one call.
func (h *jsonHandler) Handle(_ context.Context, r slog.Record) error {
	room := lines.Get().(*[]byte)
	line := append((*room)[:0], '{')
	if !r.Time.IsZero() {
		line = append(line, `"time":`...)
		line = append(appendTime(line, r.Time.Round(0)), ',')
	}
	line = append(line, `"level":"`...)
	line = append(line, r.Level.String()...)
	line = append(line, `","msg":`...)
	line = appendText(line, r.Message)
	line = append(line, h.attrs...)
	begun := len(line)
	line, first := h.openGroups(line)
	within := len(line)
	r.Attrs(func(a slog.Attr) bool {
		line, first = appendAttr(line, a, first)
		return true
	})
	open := h.open + len(h.empty)
	if len(line) == within {
		line, open = line[:begun], h.open
	}
	for range open {
		line = append(line, '}')
	}
	line = append(line, "}\n"...)
	h.out.mu.Lock()
	_, err := h.out.w.Write(line)
	h.out.mu.Unlock()
	if cap(line) <= maxKeptLine {
		*room = line
		lines.Put(room)
	}
	return err
}

// openGroups opens the groups that nothing stands in yet. first reports whether
// what follows begins one.
func (h *jsonHandler) openGroups(line []byte) (_ []byte, first bool) {
	for _, name := range h.empty {
		line, first = append(appendKey(line, name, first), '{'), true
	}
	return line, first
}

// WithAttrs writes the attributes once for all lines.
func (h *jsonHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	text, first := h.openGroups(append([]byte(nil), h.attrs...))
	within := len(text)
	for _, a := range attrs {
		text, first = appendAttr(text, a, first)
	}
	if len(text) == within {
		return h
	}
	return &jsonHandler{out: h.out, least: h.least, attrs: text, open: h.open + len(h.empty)}
}

// WithGroup opens a group, in which all that follows stands.
func (h *jsonHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.empty = append(append([]string(nil), h.empty...), name)
	return &with
}

// appendAttr appends an attribute, with a comma before it unless it begins its
// object. begin reports whether the next one does.
func appendAttr(line []byte, a slog.Attr, first bool) (_ []byte, begin bool) {
	v := a.Value.Resolve()
	if v.Kind() == slog.KindGroup {
		return appendGroup(line, a.Key, v.Group(), first)
	}
	if a.Key == "" && v.Any() == nil {
		return line, first
	}
	return appendValue(appendKey(line, a.Key, first), v), false
}

// appendGroup appends a group. One without a name is inlined, and one in which
// nothing stands is left out.
func appendGroup(line []byte, name string, attrs []slog.Attr, first bool) (_ []byte, begin bool) {
	begun, inner := len(line), first
	if name != "" {
		line, inner = append(appendKey(line, name, first), '{'), true
	}
	within := len(line)
	for _, a := range attrs {
		line, inner = appendAttr(line, a, inner)
	}
	switch {
	case len(line) == within:
		return line[:begun], first
	case name == "":
		return line, inner
	}
	return append(line, '}'), false
}

func appendKey(line []byte, key string, first bool) []byte {
	if !first {
		line = append(line, ',')
	}
	return append(appendText(line, key), ':')
}

func appendValue(line []byte, v slog.Value) []byte {
	switch v.Kind() {
	case slog.KindString:
		return appendText(line, v.String())
	case slog.KindInt64:
		return strconv.AppendInt(line, v.Int64(), 10)
	case slog.KindUint64:
		return strconv.AppendUint(line, v.Uint64(), 10)
	case slog.KindBool:
		return strconv.AppendBool(line, v.Bool())
	case slog.KindDuration:
		return strconv.AppendInt(line, int64(v.Duration()), 10)
	case slog.KindTime:
		return appendTime(line, v.Time())
	case slog.KindFloat64:
		f := v.Float64()
		if math.IsInf(f, 0) || math.IsNaN(f) { // JSON has no number for it
			return strconv.AppendQuote(line, strconv.FormatFloat(f, 'g', -1, 64))
		}
		return strconv.AppendFloat(line, f, 'g', -1, 64)
	}
	return appendText(line, textOf(v.Any()))
}

func appendTime(line []byte, t time.Time) []byte {
	return append(t.AppendFormat(append(line, '"'), time.RFC3339Nano), '"')
}

// appendText appends a cleaned text as a JSON string.
func appendText(line []byte, s string) []byte {
	if len(s) > maxLogValue || !isHarmless(s) {
		return appendQuoted(line, clean(s))
	}
	line = append(append(line, '"'), s...)
	return append(line, '"')
}

// appendQuoted appends a text of any kind as a JSON string.
func appendQuoted(line []byte, s string) []byte {
	out := bytes.NewBuffer(line)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(s) // a string always has a form
	return bytes.TrimSuffix(out.Bytes(), []byte("\n"))
}
