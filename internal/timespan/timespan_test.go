package timespan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestText(t *testing.T) {
	for d, text := range map[time.Duration]string{
		0: "0s", 9 * time.Hour: "9h", 10 * time.Minute: "10m", time.Hour + 30*time.Minute: "1h30m",
		100 * time.Hour: "100h", time.Hour + 10*time.Second: "1h0m10s", 20 * time.Second: "20s",
		90 * time.Second: "1m30s", 1500 * time.Millisecond: "1.5s", -time.Hour: "-1h", 250 * time.Microsecond: "250µs",
	} {
		require.Equal(t, text, Text(d))
		again, err := time.ParseDuration(text)
		require.NoError(t, err)
		require.Equal(t, d, again)
	}
}
