package app

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const sweepBatch = 500

// sweep deletes what has expired, and what is left of removed organizations, in
// portions of sweepBatch rows.
func (a *App) sweep(ctx context.Context) error {
	now, err := a.sweepTime(ctx)
	if err != nil {
		return err
	}
	var auditBefore time.Time
	if a.cfg.Audit.Retention > 0 {
		auditBefore = now.Add(-a.cfg.Audit.Retention)
	}
	for {
		var deleted int64
		err := a.store.WriteAside(ctx, func(q *store.Q) (err error) {
			deleted, err = q.Sweep(ctx, now, auditBefore, sweepBatch)
			return err
		})
		if err != nil {
			return err
		}
		if deleted < sweepBatch {
			return a.sweepRemoved(ctx)
		}
	}
}

func (a *App) sweepRemoved(ctx context.Context) error {
	more, err := a.store.Read().AnyRemoved(ctx)
	for more && err == nil {
		err = a.store.WriteAside(ctx, func(q *store.Q) (err error) {
			more, err = q.DeleteRemoved(ctx, sweepBatch)
			return err
		})
	}
	return err
}

// sweepTime returns a moment that has surely come: the earlier of this node's
// clock, which is not believed just after a jump forward, and the database
// server's. What is deleted too early is gone for all nodes, and a revoked
// token would live again.
func (a *App) sweepTime(ctx context.Context) (time.Time, error) {
	theirs, err := a.store.Clock(ctx)
	if err != nil {
		return time.Time{}, err
	}
	ours := a.revocations.Believed(a.clock())
	if a.store.Postgres() && theirs.Before(ours) {
		return theirs, nil
	}
	return ours, nil
}

// compareClocks logs when this node's clock and the database server's drift
// apart, and when they agree again.
func (a *App) compareClocks(ctx context.Context, wasOff bool) (off bool) {
	theirs, err := a.store.Clock(ctx)
	if err != nil || !a.store.Postgres() {
		return wasOff
	}
	by := a.clock().Sub(theirs)
	off = by.Abs() > svcauth.DefaultLeeway
	switch {
	case off && !wasOff:
		a.logger.Error("this node's clock and the database server's differ: set them right (NTP). "+
			"Resource servers refuse tokens of a clock that is ahead of theirs, "+
			"and those of one that is behind expire early", "ahead_by", timespan.Text(by.Round(time.Second)))
	case wasOff && !off:
		a.logger.Info("this node's clock agrees with the database server's again")
	}
	return off
}
