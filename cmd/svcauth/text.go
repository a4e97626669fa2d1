package main

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/width"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// clean makes a text of others safe for a terminal: one line, without control
// characters (an escape sequence could rewrite the screen) and without
// characters that are invisible or change the direction of writing.
func clean(text string) string { return untrusted.Line(text) }

// plain is a writer that escapes, as JSON does, what a terminal would obey or
// people could not see. [run] wraps both streams with it, so it covers tables,
// error lines, the log and JSON, which means the same afterwards (encoding/json
// escapes no C1 controls). It may be used by several goroutines.
type plain struct {
	to   io.Writer
	mu   sync.Mutex
	rest []byte // the begin of a character whose end comes with the next Write
}

// Write escapes all that [untrusted.Unsafe] names but line breaks and tabs.
func (p *plain) Write(text []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	given := len(text)
	if len(p.rest) > 0 ||
		slices.ContainsFunc(text, func(b byte) bool { return b < ' ' && b != '\n' && b != '\t' || b >= 0x7f }) {
		text = p.escape(append(p.rest, text...))
	}
	if _, err := p.to.Write(text); err != nil {
		return 0, err
	}
	return given, nil
}

func (p *plain) escape(text []byte) []byte {
	p.rest = nil
	out := make([]byte, 0, len(text)+len(text)/8)
	for len(text) > 0 {
		if !utf8.FullRune(text) {
			p.rest = text
			break
		}
		r, size := utf8.DecodeRune(text)
		switch {
		case r == '\n' || r == '\t' || !untrusted.Unsafe(r):
			out = append(out, text[:size]...)
		case r > 0xffff: // RFC 8259 §7: a pair of surrogates
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		default:
			out = fmt.Appendf(out, `\u%04x`, r)
		}
		text = text[size:]
	}
	return out
}

// raw returns the stream below a [plain] writer, to write bytes that are no
// text or to ask whether it is a terminal.
func raw(w io.Writer) io.Writer {
	if p, ok := w.(*plain); ok {
		return p.to
	}
	return w
}

// columns returns the width of a text on a terminal.
func columns(text string) (n int) {
	for _, r := range text {
		n += columnsOf(r)
	}
	return n
}

func columnsOf(r rune) int {
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	}
	return 1
}

// cut shortens a text to a number of columns, the last of them an ellipsis.
func cut(text string, limit int) string {
	if columns(text) <= limit {
		return text
	}
	n := 0
	for i, r := range text {
		if n += columnsOf(r); n > limit-1 {
			return strings.TrimRight(text[:i], " ") + "…"
		}
	}
	return text
}

// wrap breaks a text at spaces into lines of at most limit columns. A longer
// word gets a line of its own.
func wrap(text string, limit int) []string {
	var lines []string
	line := ""
	for _, word := range strings.Fields(text) {
		word = clean(word)
		if line != "" && columns(line)+1+columns(word) > limit {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	return append(lines, line)
}

// ago returns a moment, past or future, in a word.
func ago(now, at time.Time) string {
	d := at.Sub(now)
	if ahead := d > 0; ahead {
		return "in " + span(d)
	}
	if -d < time.Second {
		return "just now"
	}
	return span(-d) + " ago"
}

// span returns a duration rounded, so that what was made to last 90 days does
// so for more than an instant.
func span(d time.Duration) string {
	switch {
	case d < time.Minute-time.Second/2:
		return fmt.Sprintf("%ds", max(1, int(d.Round(time.Second).Seconds())))
	case d < time.Hour-time.Minute/2:
		return fmt.Sprintf("%dm", int(d.Round(time.Minute).Minutes()))
	case d < 48*time.Hour-time.Hour/2:
		return fmt.Sprintf("%dh", int(d.Round(time.Hour).Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Round(24*time.Hour).Hours()/24))
}

// agoOr is like ago, for a moment that may be nil.
func agoOr(now time.Time, at *time.Time, none string) string {
	if at == nil || at.IsZero() {
		return none
	}
	return ago(now, *at)
}

// lastUsed returns a clause of a question: "last used 3h ago", or "never used".
func lastUsed(now time.Time, at *time.Time) string {
	if at == nil || at.IsZero() {
		return "never used"
	}
	return "last used " + ago(now, *at)
}

// stamp returns a moment in full, for get.
func stamp(now time.Time, at *time.Time, none string) string {
	if at == nil || at.IsZero() {
		return none
	}
	return at.UTC().Format(time.RFC3339) + " (" + ago(now, *at) + ")"
}

// duration parses "90s", "12h" and also "30d".
func duration(text string) (time.Duration, bool) {
	if days, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		return time.Duration(n) * 24 * time.Hour, err == nil && n > 0
	}
	d, err := time.ParseDuration(text)
	return d, err == nil && d > 0
}

// moment parses a time: RFC 3339, a date (midnight UTC), or a duration from
// now. direction is 1 for a duration into the future and -1 for one into the
// past.
func moment(flag, text string, now time.Time, direction time.Duration) (time.Time, error) {
	if d, ok := duration(text); ok {
		return now.Add(direction * d).UTC().Truncate(time.Second), nil
	}
	for _, layout := range []string{time.RFC3339Nano, time.DateOnly} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), nil
		}
	}
	return time.Time{}, wrongUsage("--%s %q: expected a time (2026-01-31T12:00:00Z), a date (2026-01-31) or a "+
		"duration from now (12h, 30d)", flag, clean(text))
}
