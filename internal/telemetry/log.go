package telemetry

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxLogValue is the length in bytes at which a text in a log line is cut.
const maxLogValue = 1024

// NewLogger returns a logger that writes one line a record to w. format is json
// or text, level is debug, info, warn or error; anything else is an error. Each
// text in a line, message and attributes alike, is redacted if it looks like a
// credential, cut after 1 KiB, and escaped so that it stays on its line and
// moves no terminal's cursor. If w is a [*BufferedWriter], a line of level
// error wakes it.
func NewLogger(w io.Writer, format, level string) (*slog.Logger, error) {
	var least slog.Level
	switch level {
	case "debug", "info", "warn", "error":
		if err := least.UnmarshalText([]byte(level)); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("the log level %q is not known; expected debug, info, warn or error", level)
	}
	opts := &slog.HandlerOptions{Level: least}
	var handler slog.Handler
	switch format {
	case "json":
		handler = slog.NewJSONHandler(w, opts)
	case "text":
		handler = slog.NewTextHandler(w, opts)
	default:
		return nil, fmt.Errorf("the log format %q is not known; expected json or text", format)
	}
	handler = cleaningHandler{handler}
	if buffered, ok := w.(*BufferedWriter); ok {
		handler = wakingHandler{handler, buffered}
	}
	return slog.New(handler), nil
}

// wakingHandler has a line of level error written at once.
type wakingHandler struct {
	slog.Handler
	writer *BufferedWriter
}

func (h wakingHandler) Handle(ctx context.Context, r slog.Record) error {
	err := h.Handler.Handle(ctx, r)
	if r.Level >= slog.LevelError {
		h.writer.wakeUp()
	}
	return err
}

func (h wakingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return wakingHandler{h.Handler.WithAttrs(attrs), h.writer}
}

func (h wakingHandler) WithGroup(name string) slog.Handler {
	return wakingHandler{h.Handler.WithGroup(name), h.writer}
}

// cleaningHandler is the safety net under every line. A record that is clean, as
// nearly all are, passes as it is: slog's own ReplaceAttr has each attribute
// take a way that costs half as much again.
type cleaningHandler struct{ slog.Handler }

// Handle implements [slog.Handler], as the methods below do.
func (h cleaningHandler) Handle(ctx context.Context, r slog.Record) error {
	dirty := needsClean(r.Message)
	if !dirty {
		r.Attrs(func(a slog.Attr) bool {
			dirty = !isClean(a.Value)
			return !dirty
		})
	}
	if dirty {
		cleaned := slog.NewRecord(r.Time, r.Level, clean(r.Message), r.PC)
		r.Attrs(func(a slog.Attr) bool {
			cleaned.AddAttrs(cleanAttr(a))
			return true
		})
		r = cleaned
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs cleans attributes once for all lines.
func (h cleaningHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return cleaningHandler{h.Handler.WithAttrs(cleanAttrs(attrs))}
}

// WithGroup passes the name on.
func (h cleaningHandler) WithGroup(name string) slog.Handler {
	return cleaningHandler{h.Handler.WithGroup(name)}
}

// isClean reports whether a value may stand in a line as it is.
func isClean(v slog.Value) bool {
	switch v.Kind() {
	case slog.KindString:
		return !needsClean(v.String())
	case slog.KindAny, slog.KindLogValuer, slog.KindGroup:
		return false
	}
	return true
}

// cleanAttr turns a value that is no plain text into one, because a struct would
// otherwise go through JSON, where secrets show themselves.
func cleanAttr(a slog.Attr) slog.Attr {
	switch v := a.Value.Resolve(); v.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(clean(v.String()))
	case slog.KindGroup:
		a.Value = slog.GroupValue(cleanAttrs(v.Group())...)
	case slog.KindAny:
		a.Value = slog.StringValue(clean(textOf(v.Any())))
	default:
		a.Value = v
	}
	return a
}

func cleanAttrs(attrs []slog.Attr) []slog.Attr {
	cleaned := make([]slog.Attr, len(attrs))
	for i, a := range attrs {
		cleaned[i] = cleanAttr(a)
	}
	return cleaned
}

func textOf(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case []byte:
		return fmt.Sprintf("[%d bytes]", len(v))
	}
	// The own text of an error or a Stringer; of a secret, inside a struct too,
	// the redacted one.
	return fmt.Sprintf("%+v", v)
}

// clean redacts before it cuts, because half a token is not recognised as one.
func clean(s string) string {
	s = escape(redact(s))
	if len(s) <= maxLogValue {
		return s
	}
	end := maxLogValue
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…[cut, " + strconv.Itoa(len(s)) + " bytes]"
}

func needsClean(s string) bool {
	return len(s) > maxLogValue || suspicious(s) || strings.ContainsFunc(s, unprintable)
}

// unprintable reports whether the handlers of log/slog let a rune through
// although it is no visible character: DEL, the C1 controls (0x9b starts a
// terminal's escape sequence), bidirectional overrides, line separators. They
// escape what lies below 0x20 themselves.
func unprintable(r rune) bool { return r >= 0x7f && !unicode.IsPrint(r) }

func escape(s string) string {
	if !strings.ContainsFunc(s, unprintable) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) {
			fmt.Fprintf(&b, "<U+%04X>", r)
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}
