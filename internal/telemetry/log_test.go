package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const jwt = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzYV8xIn0.c2lnbmF0dXJlLXNpZ25hdHVyZQ"

func logged(t *testing.T, format string, write func(*slog.Logger)) string {
	t.Helper()
	var out bytes.Buffer
	l, err := NewLogger(&out, format, "debug")
	require.NoError(t, err)
	write(l)
	return out.String()
}

type boxed struct {
	Name   string
	Secret svcauth.Secret
	Token  string
}

func TestCredentialsNeverReachALine(t *testing.T) {
	secret := svcauth.NewSecret().Reveal()
	for _, leak := range []string{secret, jwt, jwt[:40], secret[:30]} {
		for i, write := range []func(*slog.Logger){
			func(l *slog.Logger) { l.Info("got " + leak) },
			func(l *slog.Logger) { l.Info("x", "v", leak) },
			func(l *slog.Logger) { l.Info("x", "v", strings.Repeat("a", 1000)+" "+leak) },
			func(l *slog.Logger) { l.Info("x", "err", fmt.Errorf("parse %q: %w", leak, errors.New("no"))) },
			func(l *slog.Logger) { l.Info("x", slog.Group("g", "v", leak)) },
			func(l *slog.Logger) { l.With("v", leak).WithGroup("g").Info("x", "w", []string{leak}) },
			func(l *slog.Logger) { l.Info("x", "v", boxed{"n", svcauth.Secret(leak), leak}) },
			func(l *slog.Logger) { l.Info("x", "v", &boxed{Token: leak}) },
			func(l *slog.Logger) { l.Info("x", "v", map[string]any{"k": leak}) },
			func(l *slog.Logger) { l.Info("x", "v", []byte(leak)) },
			func(l *slog.Logger) { l.Info("x", "v", slog.AnyValue(json.RawMessage(`"`+leak+`"`))) },
		} {
			for _, format := range []string{"json", "text"} {
				line := logged(t, format, write)
				require.NotContains(t, line, leak[:12], "%d %s", i, format)
				require.NotContains(t, line, leak[len(leak)-12:], "%d %s", i, format)
			}
		}
	}
}

func TestCredentialsInsideTexts(t *testing.T) {
	for in, want := range map[string]string{
		"Authorization: Bearer abc.def-ghi":           "Authorization: Bearer [redacted]",
		"authorization=bearer%20abcdefgh":             "authorization=Bearer [redacted]",
		"BEARER\tabc, next":                           "Bearer [redacted], next",
		"Basic c2FfMTpzdmNz":                          "Basic [redacted]",
		"dial postgres://u:p/w@h/db: refused":         "dial postgres://u:[redacted]@h/db: refused",
		"grant_type=x&client_secret=abc&scope=y":      "grant_type=x&client_secret=[redacted]&scope=y",
		"user=a password=b host=c":                    "user=a password=[redacted] host=c",
		"svcs_abc":                                    "svcs_[redacted]",
		"an ordinary line about basics and bearers":   "an ordinary line about basics and bearers",
		"mail to a@b.example, 1=1, https://a.example": "mail to a@b.example, 1=1, https://a.example",
	} {
		require.Equal(t, want, clean(in))
	}
}

func TestOneRecordIsOneLineWhateverIsInIt(t *testing.T) {
	hostile := "a\r\nlevel=ERROR msg=forged\x00\x1b[31m\u009b2J\u202e\u2028\x7f\xff end"
	for _, format := range []string{"json", "text"} {
		line := logged(t, format, func(l *slog.Logger) { l.Info(hostile, "v", hostile, "e", errors.New(hostile)) })
		require.Equal(t, 1, strings.Count(line, "\n"), line)
		require.True(t, utf8.ValidString(line))
		for _, r := range strings.TrimSuffix(line, "\n") {
			require.False(t, r < 0x20 || unprintable(r), "%q in %s", r, line)
		}
		require.Contains(t, line, "<U+009B>")
	}
	var record map[string]any
	line := logged(t, "json", func(l *slog.Logger) { l.Info("m", "v", "a\nb") })
	require.NoError(t, json.Unmarshal([]byte(line), &record))
	require.Equal(t, "a\nb", record["v"])
	require.Equal(t, "INFO", record["level"])
}

func TestLongTextsAreCut(t *testing.T) {
	long := strings.Repeat("é", 3000)
	line := logged(t, "json", func(l *slog.Logger) { l.Info("m", "v", long, "e", errors.New(long)) })
	var record struct{ V, E string }
	require.NoError(t, json.Unmarshal([]byte(line), &record))
	require.Equal(t, strings.Repeat("é", 512)+"…[cut, 6000 bytes]", record.V)
	require.Equal(t, record.V, record.E)
	exact := strings.Repeat("x", maxLogValue)
	require.Equal(t, exact, clean(exact))
	require.True(t, utf8.ValidString(clean("x"+long)))
}

func TestOrdinaryTextsCostNothing(t *testing.T) {
	plain := slog.String("path", "/v1/service-accounts/:id sa_01hgw2bbg0")
	room := make([]byte, 0, 100)
	require.Zero(t, testing.AllocsPerRun(100, func() { room, _ = appendAttr(room[:0], plain, true) }))
}

func TestLevelsAndFormats(t *testing.T) {
	var out bytes.Buffer
	l, err := NewLogger(&out, "text", "warn")
	require.NoError(t, err)
	l.Info("quiet")
	require.Empty(t, out.String())
	l.Warn("loud")
	require.Contains(t, out.String(), "level=WARN msg=loud")
	_, err = NewLogger(&out, "xml", "info")
	require.ErrorContains(t, err, `"xml"`)
	_, err = NewLogger(&out, "json", "trace")
	require.ErrorContains(t, err, `"trace"`)
}

func FuzzClean(f *testing.F) {
	f.Add("Bearer " + jwt)
	f.Add("svcs_\u009b")
	f.Fuzz(func(t *testing.T, s string) {
		got := clean(s)
		if len(got) > maxLogValue+40 {
			t.Fatalf("%d bytes", len(got))
		}
		if strings.ContainsFunc(got, unprintable) {
			t.Fatalf("%q", got)
		}
		if len(s) <= maxLogValue && isHarmless(s) && got != s {
			t.Fatalf("a text that would be changed is taken for clean: %q", s)
		}
	})
}
