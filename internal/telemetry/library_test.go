package telemetry

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What a library writes comes out as our own lines, redacted and bounded.
func TestLibrariesWriteOurLines(t *testing.T) {
	var out bytes.Buffer
	logger, err := NewLogger(&out, "json", "info")
	require.NoError(t, err)
	l := NewLibraryLog(logger)
	now := time.Unix(1_000_000, 0)
	l.clock = func() time.Time { return now }
	web := l.Logger("net/http")
	web.Printf("http: TLS handshake error from 192.0.2.1:1: EOF")
	require.Empty(t, out.String(), "any stranger can cause it")
	for i := range 100 {
		web.Printf("http: Accept error %d: %s", i, jwt)
	}
	require.Equal(t, maxLibraryLines, strings.Count(out.String(), "\n"))
	require.NotContains(t, out.String(), jwt[:12])
	var line struct{ Level, Msg, Library, Text string }
	require.NoError(t, json.Unmarshal(out.Bytes()[:bytes.IndexByte(out.Bytes(), '\n')], &line))
	require.Equal(t, "WARN", line.Level)
	require.Equal(t, "net/http", line.Library)
	require.Equal(t, "http: Accept error 0: [redacted]", line.Text)

	out.Reset()
	now = now.Add(time.Minute)
	l.Logger("otel").Print("again")
	require.Contains(t, out.String(), `"count":80`)
	require.Contains(t, out.String(), `"text":"again"`)
}
