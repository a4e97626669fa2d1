package typeid_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestNewIsTypeIDOfUUIDv7(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_123)
	for range 200 {
		id := typeid.New(svcauth.PrefixServiceAccount, at)
		require.Regexp(t, `^sa_[0-7][0-9a-hjkmnp-tv-z]{25}$`, id)
		require.True(t, svcauth.ValidID("sa", id))
		u := decode(t, strings.TrimPrefix(id, "sa_"))
		require.Equal(t, uuid.Version(7), u.Version())
		require.Equal(t, uuid.RFC4122, u.Variant())
		sec, nsec := u.Time().UnixTime()
		require.Equal(t, at.UnixMilli(), sec*1000+nsec/1_000_000)
	}
	require.Less(t, typeid.New("sa", at), typeid.New("sa", at.Add(time.Millisecond)))
}

// decode is the TypeID specification read backwards, independent of the
// encoder.
func decode(t *testing.T, s string) (u uuid.UUID) {
	t.Helper()
	bits := ""
	for _, c := range s {
		bits += fmt.Sprintf("%05b", strings.IndexRune("0123456789abcdefghjkmnpqrstvwxyz", c))
	}
	require.Equal(t, "00", bits[:2])
	for i := range u {
		_, err := fmt.Sscanf(bits[2+8*i:10+8*i], "%b", &u[i])
		require.NoError(t, err)
	}
	return u
}
