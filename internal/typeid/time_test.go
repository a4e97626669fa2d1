package typeid_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/typeid"
)

func TestTimeOfAnID(t *testing.T) {
	for _, ms := range []int64{0, 1, 1_700_000_000_123, 1<<48 - 1} {
		at := time.UnixMilli(ms).UTC()
		require.Equal(t, at, typeid.Time(typeid.New("req", at)))
	}
	for _, bad := range []string{
		"", "req", "req_", "req_0", "req_01h455vb4pex5vsknk084sn02u1", "req_UUUUUUUUUUUUUUUUUUUUUUUUUU",
	} {
		require.True(t, typeid.Time(bad).IsZero(), bad)
	}
}
