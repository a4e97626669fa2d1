package svcauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestValidID(t *testing.T) {
	good := NewID("sa")
	for _, bad := range []string{"", "sa", "sa_", good + "0", good[:len(good)-1], "ak" + good[2:], "sa_8" + good[4:],
		good[:10] + "u" + good[11:], good[:10] + "A" + good[11:], good[:10] + "'" + good[11:]} {
		require.False(t, ValidID("sa", bad), bad)
	}
	require.True(t, ValidClientID(good))
	require.True(t, ValidClientID(NewID("ak")))
	require.False(t, ValidClientID(NewID("mem")))
}

func TestSecretFormAndChecksum(t *testing.T) {
	form := regexp.MustCompile(`^svcs_[0-9A-Za-z]{49}$`)
	seen := map[Secret]bool{}
	for range 500 {
		s := NewSecret()
		require.Regexp(t, form, s.Reveal())
		require.False(t, seen[s])
		seen[s] = true
		back, err := ParseSecret(s.Reveal())
		require.NoError(t, err)
		require.Equal(t, s, back)
	}
	s := NewSecret().Reveal()
	for i := 5; i < len(s); i++ { // every single mistyped character is found
		other := byte('a')
		if s[i] == other {
			other = 'b'
		}
		_, err := ParseSecret(s[:i] + string(other) + s[i+1:])
		require.ErrorIs(t, err, ErrSecretChecksum)
	}
	for bad, why := range map[string]string{"": "does not begin", "svcs_": "too short, with 0",
		s[:53]: "too short, with 48", s + "0": "too long, with 50", "SVCS_" + s[5:]: "does not begin",
		s[:20] + "-" + s[21:]: "has 1 behind it", `"` + s + `"`: "does not begin", s[:50] + "é": "has 1 behind it"} {
		_, err := ParseSecret(bad)
		require.ErrorIs(t, err, ErrSecretForm)
		require.ErrorContains(t, err, why)
		require.NotContains(t, err.Error(), s[10:20])
	}
}

func TestSecretIsRedactedEverywhereButJSON(t *testing.T) {
	s := NewSecret()
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", s, "in", struct{ S Secret }{s}.S)
	for _, shown := range []string{log.String(), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q %x", s, s, s, s, s, s),
		fmt.Sprintf("%v %+v %#v", struct{ S Secret }{s}, &struct{ S Secret }{s}, struct{ S Secret }{s})} {
		require.NotContains(t, shown, s.Reveal())
		require.NotContains(t, shown, s.Reveal()[5:20])
	}
	js, err := json.Marshal(SecretInfo{ClientSecret: s})
	require.NoError(t, err)
	require.Contains(t, string(js), s.Reveal())
}

func FuzzParseSecret(f *testing.F) {
	f.Add(NewSecret().Reveal())
	f.Add("svcs_")
	f.Fuzz(func(t *testing.T, s string) {
		if got, err := ParseSecret(s); err == nil && got.Reveal() != s {
			t.Fatalf("parsed %q as something else", s)
		}
	})
}
