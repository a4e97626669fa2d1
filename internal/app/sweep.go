package app

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

const sweepBatch = 500

// sweep deletes what has expired until nothing is left.
func (a *App) sweep(ctx context.Context) error {
	var auditBefore time.Time
	if a.cfg.Audit.Retention > 0 {
		auditBefore = a.clock().Add(-a.cfg.Audit.Retention)
	}
	for {
		var deleted int64
		err := a.store.WriteAside(ctx, func(q *store.Q) (err error) {
			deleted, err = q.Sweep(ctx, a.clock(), auditBefore, sweepBatch)
			return err
		})
		if err != nil || deleted < sweepBatch {
			return err
		}
	}
}
