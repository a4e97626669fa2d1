package store

import (
	"context"
	"time"
)

// lastWriteWithin bounds the last write of a process that ends.
const lastWriteWithin = 3 * time.Second

// WriteEvery calls write from time to time until ctx is done, and then once
// more for what is left, with a context of its own. What is written aside, off
// the way of requests, is written so.
func WriteEvery(ctx context.Context, every time.Duration, write func(context.Context)) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWriteWithin)
			defer cancel()
			write(last)
			return
		case <-ticker.C:
			write(ctx)
		}
	}
}
