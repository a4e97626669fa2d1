package access

import (
	"context"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ResourceServers lists the subscribers of the revocation feed, the latest
// first. Like subscribing it needs tokens:introspect. In the operator's
// organization these are all, elsewhere the organization's own. connected
// returns those there are; nil: there are none.
func (s *Service) ResourceServers(
	ctx context.Context, o svcauth.ListOptions,
	connected func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer,
) (none svcauth.List[svcauth.ResourceServer], err error) {
	a, err := Caller(ctx, svcauth.TokensIntrospect)
	if err != nil {
		return none, err
	}
	var all []svcauth.ResourceServer
	if connected != nil {
		all = connected(ctx, a.OrgID, a.Operator)
	}
	return paging.Newest(all, o, func(r svcauth.ResourceServer) string {
		return paging.Key(r.ConnectedAt, r.Instance, r.Node)
	})
}
