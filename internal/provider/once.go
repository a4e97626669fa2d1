package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	maxCreations    = 3
	recoveryTimeout = 30 * time.Second
)

// creation makes one object even if answers get lost. Something in the object
// is unique, so the server makes it at most once. After a lost answer find
// looks for the object. It returns false if there is none, and an error if
// there is one that this creation can't have made.
type creation[T any] struct {
	what   string // for messages: `the service account "ci"`
	create func(context.Context) (T, error)
	find   func(context.Context) (T, bool, error)
}

// run returns what was made, and whether it had to be found again because the
// answer was lost. An error of type [lostError] means that nobody knows whether
// it was made.
func (c creation[T]) run(ctx context.Context) (made T, recovered bool, err error) {
	lost := false
	for attempt := 1; ; attempt++ {
		made, err = c.create(ctx)
		if err == nil {
			return made, false, nil
		}
		if !uncertain(err) && !(lost && hasCode(err, svcauth.CodeConflict)) {
			return made, false, err
		}
		lost = true
		// An object whose creation the user interrupted must be found too.
		look, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoveryTimeout)
		found, ok, lookErr := c.find(look)
		cancel()
		switch {
		case lookErr != nil:
			return made, false, &lostError{c.what, err, lookErr}
		case ok:
			return found, true, nil
		case !uncertain(err): // a conflict with something else
			return made, false, err
		case attempt == maxCreations || ctx.Err() != nil:
			return made, false, fmt.Errorf("%w (looked for it afterwards: %s was not made)", err, c.what)
		}
	}
}

// lostError reports that an object may or may not have been made.
type lostError struct {
	what      string
	err, look error
}

func (e *lostError) Error() string {
	return fmt.Sprintf("the answer to the creation of %s was lost (%v), and looking for it afterwards failed (%v): "+
		"it may have been made", e.what, e.err, e.look)
}

func (e *lostError) Unwrap() []error { return []error{e.err, e.look} }
