package telemetry

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"math"
	"testing"
	"testing/slogtest"
	"time"

	"encoding/json"

	"github.com/stretchr/testify/require"
)

// testing/slogtest holds each rule for handlers.
func TestJSONHandlerKeepsTheRulesOfSlog(t *testing.T) {
	var out bytes.Buffer
	slogtest.Run(t, func(*testing.T) slog.Handler {
		out.Reset()
		return newJSONHandler(&out, slog.LevelInfo)
	}, func(t *testing.T) map[string]any {
		var line map[string]any
		require.NoError(t, json.Unmarshal(out.Bytes(), &line))
		return line
	})
}

// Whoever reads the log by machine finds the same as from slog's own handler.
func TestJSONHandlerWritesAsSlogDoes(t *testing.T) {
	at := time.Date(2026, 11, 30, 12, 0, 0, 123456789, time.UTC)
	for _, write := range []func(*slog.Logger){
		func(l *slog.Logger) { l.Info("request") },
		func(l *slog.Logger) {
			l.Warn(`a "quoted" \ text`, "k", "tab\tline\nend\x00", "ключ", "é<&>")
		},
		func(l *slog.Logger) {
			l.Info("m", "i", -5, "u", uint64(math.MaxUint64), "b", true, "d", time.Second, "t", at)
		},
		func(l *slog.Logger) { l.Info("m", "f", 1.5, "big", 1e300, "small", 1e-7) },
		func(l *slog.Logger) { l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").Error("m", "c", 3) },
		func(l *slog.Logger) { l.WithGroup("g").Info("m", slog.Group("", "a", 1, "b", 2), slog.Group("none")) },
		func(l *slog.Logger) { l.Info("m", slog.Group("g", slog.Group("h", "a", 1), "b", 2), slog.Attr{}) },
		func(l *slog.Logger) { l.Log(context.Background(), slog.LevelInfo+2, "m") },
	} {
		var ours, theirs bytes.Buffer
		write(slog.New(timed{newJSONHandler(&ours, slog.LevelInfo), at}))
		write(slog.New(timed{slog.NewJSONHandler(&theirs, nil), at}))
		require.JSONEq(t, theirs.String(), ours.String())
	}
}

// timed gives each record the same time.
type timed struct {
	slog.Handler
	at time.Time
}

func (h timed) Handle(ctx context.Context, r slog.Record) error {
	r.Time = h.at
	return h.Handler.Handle(ctx, r)
}

func (h timed) WithAttrs(attrs []slog.Attr) slog.Handler {
	return timed{h.Handler.WithAttrs(attrs), h.at}
}
func (h timed) WithGroup(name string) slog.Handler { return timed{h.Handler.WithGroup(name), h.at} }

func TestNoValueMakesALineThatIsNotJSON(t *testing.T) {
	line := logged(t, "json", func(l *slog.Logger) {
		l.Info("m", "nan", math.NaN(), "inf", math.Inf(-1), "err", errors.New("no"), "nil", nil, "bytes", []byte("x"))
	})
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(line), &got))
	require.Equal(t, "NaN", got["nan"])
	require.Equal(t, "-Inf", got["inf"])
	require.Equal(t, "no", got["err"])
	require.Equal(t, "[1 bytes]", got["bytes"])
}
