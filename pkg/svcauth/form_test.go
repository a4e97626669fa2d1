package svcauth

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

func TestNewIDIsTypeIDOfUUIDv7(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for range 200 {
		id := NewIDAt(PrefixServiceAccount, at)
		require.Regexp(t, `^sa_[0-7][0-9a-hjkmnp-tv-z]{25}$`, id)
		require.True(t, ValidID("sa", id))
		u := decode(t, strings.TrimPrefix(id, "sa_"))
		require.Equal(t, uuid.Version(7), u.Version())
		require.Equal(t, uuid.RFC4122, u.Variant())
		sec, nsec := u.Time().UnixTime()
		require.Equal(t, at.UnixMilli(), sec*1000+nsec/1_000_000)
	}
	require.Less(t, NewIDAt("sa", at), NewIDAt("sa", at.Add(time.Millisecond)))
}

// decode is the TypeID specification read backwards, independent of the
// encoder.
func decode(t *testing.T, s string) (u uuid.UUID) {
	t.Helper()
	bits := ""
	for _, c := range s {
		bits += fmt.Sprintf("%05b", strings.IndexRune(crockford, c))
	}
	require.Equal(t, "00", bits[:2])
	for i := range u {
		_, err := fmt.Sscanf(bits[2+8*i:10+8*i], "%b", &u[i])
		require.NoError(t, err)
	}
	return u
}

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
	for _, bad := range []string{"", "svcs_", s[:53], s + "0", "SVCS_" + s[5:], s[:20] + "-" + s[21:]} {
		_, err := ParseSecret(bad)
		require.ErrorIs(t, err, ErrSecretForm)
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
