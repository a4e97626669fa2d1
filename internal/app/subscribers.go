package app

import (
	"context"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// concerned is whose subscribers have to enforce what the caller changes.
func concerned(ctx context.Context) feed.Scope {
	actor, _ := access.ActorFrom(ctx)
	return feed.Scope{OrgID: actor.OrgID, Operator: actor.Operator}
}

func (a *App) enforced(ctx context.Context, wait time.Duration) svcauth.Enforcement {
	return a.feed.AwaitEnforcement(ctx, concerned(ctx), wait)
}

func (a *App) expect(ctx context.Context) (done func()) { return a.feed.Expect(concerned(ctx)) }

func (a *App) resourceServers(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer {
	return a.feed.AskResourceServers(ctx, feed.Scope{OrgID: orgID, Operator: operator})
}
