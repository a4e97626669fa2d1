package httpx

import (
	"fmt"
	"io"
)

// TooLongError is the error for a body that is longer than it may be.
type TooLongError struct{ Limit int64 } // bytes

// Error returns a text with the limit.
func (e *TooLongError) Error() string {
	return fmt.Sprintf("the answer is longer than %d KiB; check the address", e.Limit>>10)
}

// ReadAll reads a body of at most limit bytes. If there is more, it returns the
// first limit bytes and a [*TooLongError].
func ReadAll(body io.Reader, limit int64) ([]byte, error) {
	content, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err == nil && int64(len(content)) > limit {
		return content[:limit], &TooLongError{limit}
	}
	return content, err
}
