package rules

import (
	"context"
	"time"
)

// databaseObserver tells a Fixture of calls to its database.
type databaseObserver struct{ f *Fixture }

// DatabaseCalled implements [store.Observer].
func (o databaseObserver) DatabaseCalled(context.Context, string, time.Time, error) {
	if o.f.Called != nil {
		o.f.Called()
	}
}

// MigrationWaits implements [store.Observer].
func (databaseObserver) MigrationWaits(string) {}
