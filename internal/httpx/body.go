package httpx

import (
	"fmt"
	"io"
)

// TooLongError says that a body is longer than anything that is expected there.
type TooLongError struct{ Limit int64 } // bytes

// Error says what the limit is.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("the answer is longer than %d KiB; check the address", e.Limit>>10)
}

// ReadAll reads a body of at most limit bytes. It returns a [*TooLongError] if
// there is more, and what it has read of it.
func ReadAll(body io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(content)) > limit {
		return content[:limit], &TooLongError{limit}
	}
	return content, err
}
