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
	var handler slog.Handler
	switch format {
	case "json":
		handler = newJSONHandler(w, least)
	case "text":
		handler = slog.NewTextHandler(w, &slog.HandlerOptions{Level: least, ReplaceAttr: cleanAttr})
	default:
		return nil, fmt.Errorf("the log format %q is not known; expected json or text", format)
	}
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

// cleanAttr is the safety net under a line of text. It turns a value that is no
// plain text into one: a struct could show its secrets.
func cleanAttr(_ []string, a slog.Attr) slog.Attr {
	switch a.Value.Kind() {
	case slog.KindString:
		a.Value = slog.StringValue(clean(a.Value.String()))
	case slog.KindAny:
		a.Value = slog.StringValue(clean(textOf(a.Value.Any())))
	}
	return a
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
