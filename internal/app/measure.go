package app

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	measureEvery        = 10 * time.Second
	countExpiringEvery  = 10 * time.Minute    // it costs a query over all credentials
	expiringSoon        = 30 * 24 * time.Hour // a credential that expires within
	inUse               = 30 * 24 * time.Hour // a credential that was used within
	expiringCountedUpTo = 10_000
)

// measure keeps the gauges up to date that no request moves.
func (a *App) measure(ctx context.Context) error {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	var counted time.Time
	var lost uint64
	off := false
	for {
		if all := a.log.Dropped(); all > lost {
			a.logger.Warn("lines of this log were lost, "+
				"because it could not be written (a full disk?) or not fast enough", "count", all-lost)
			a.metrics.QueueDropped("log", int(all-lost))
			lost = all
		}
		off = a.compareClocks(ctx, off)
		a.tryChange(ctx)
		a.measureCertificates()
		now := a.clock()
		for _, k := range a.keyring.Ages(now) {
			a.metrics.KeyAge(k.Algorithm, k.State, k.Age)
		}
		var lag int64
		for _, r := range a.feed.ResourceServers(feed.Scope{Operator: true}) {
			lag = max(lag, r.LagMS)
		}
		a.metrics.FeedLag(time.Duration(lag) * time.Millisecond)
		if now.Sub(counted) >= countExpiringEvery || counted.IsZero() {
			if err := a.countExpiring(ctx, now); err == nil {
				counted = now
			} else if ctx.Err() == nil {
				a.logger.Warn("the credentials that expire soon could not be counted; tried again in a moment", "error",
					err)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// countExpiring measures how many credentials in use expire soon, of each kind.
func (a *App) countExpiring(ctx context.Context, now time.Time) error {
	counts, err := a.store.Read().CountExpiringCredentials(ctx,
		now, now.Add(expiringSoon), now.Add(-inUse), expiringCountedUpTo)
	if err != nil {
		return err
	}
	for kind, stored := range map[string]string{
		svcauth.KindSecret: store.CredentialSecret, svcauth.KindKey: store.CredentialKey,
		svcauth.KindFederatedCredential: store.CredentialFederated,
		svcauth.KindCertificate:         store.CredentialCertificate,
	} {
		a.metrics.CredentialsExpiring(kind, counts[stored])
	}
	return nil
}
