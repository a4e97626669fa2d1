package people

import (
	"errors"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
)

// showWithin is how long it may take to show what is about to be committed.
// Every other change waits meanwhile, so that a terminal that was stopped
// (Ctrl-S) must not hold them up.
const showWithin = 5 * time.Second

// errNotShown is the error of what could not be shown, and was not made
// therefore.
var errNotShown = errors.New("what is shown once could not be written, so nothing was made or changed")

// shown calls show, for at most showWithin.
func shown(show func() error) error {
	done := make(chan error, 1)
	go func() { done <- show() }()
	select {
	case err := <-done:
		if err != nil {
			return fmt.Errorf("%w: %w; make room for it, or send it elsewhere, and repeat", errNotShown, err)
		}
		return nil
	case <-time.After(showWithin):
		return fmt.Errorf("%w: whatever reads it did not for %s; what it still gets is void",
			errNotShown, timespan.Text(showWithin))
	}
}

// notMade adds to an error that what has been shown is void.
func notMade(seen bool, err error) error {
	if !seen || errors.Is(err, errNotShown) {
		return err
	}
	return fmt.Errorf("what was printed is void, unless it turns out that the change was made: %w", err)
}
