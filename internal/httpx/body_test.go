package httpx

import (
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

func TestReadAll(t *testing.T) {
	const limit = 2 << 10
	for size, tooLong := range map[int]bool{0: false, 1: false, limit - 1: false, limit: false, limit + 1: true,
		limit * 9: true} {
		body := strings.NewReader(strings.Repeat("x", size))
		got, err := ReadAll(body, limit)
		require.Len(t, got, min(size, limit))
		require.LessOrEqual(t, size-body.Len(), limit+1, "no more is read than shows that it is too long")
		if !tooLong {
			require.NoError(t, err)
			continue
		}
		require.ErrorAs(t, err, new(*TooLongError))
		require.ErrorContains(t, err, "longer than 2 KiB")
	}
	_, err := ReadAll(iotest.ErrReader(io.ErrUnexpectedEOF), limit)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
}
