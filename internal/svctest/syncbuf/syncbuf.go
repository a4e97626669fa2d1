// Package syncbuf has a buffer that a test reads while others write it: a log,
// or the output of a program.
package syncbuf

import (
	"bytes"
	"sync"
)

// Buffer is a [bytes.Buffer] that is safe for concurrent use. The zero value is
// empty and ready.
type Buffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write appends p.
func (b *Buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

// String returns what was written so far.
func (b *Buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
