package access

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"slices"

	"github.com/svcauth/svcauth/internal/paging"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ResourceServers lists who follows the revocation feed, the latest first; it needs tokens:introspect, like following it. In the operator's organization
// these are all, elsewhere one's own. connected gives those there are (nil: none).
func (s *Service) ResourceServers(ctx context.Context, o svcauth.ListOptions, connected func(ctx context.Context, orgID string, operator bool) []svcauth.ResourceServer) (none svcauth.List[svcauth.ResourceServer], err error) {
	a, err := Caller(ctx, svcauth.TokensIntrospect)
	if err != nil {
		return none, err
	}
	limit, err := paging.Size(o.Limit)
	if err != nil {
		return none, err
	}
	below, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil || len(below) > 300 {
		return none, paging.BadCursor()
	}
	key := func(r svcauth.ResourceServer) string {
		return fmt.Sprintf("%019d %s %s", max(0, r.ConnectedAt.UnixNano()), r.Instance, r.Node)
	}
	var all []svcauth.ResourceServer
	if connected != nil {
		all = slices.Clone(connected(ctx, a.OrgID, a.Operator))
	}
	all = slices.DeleteFunc(all, func(r svcauth.ResourceServer) bool { return len(below) > 0 && key(r) >= string(below) })
	slices.SortFunc(all, func(x, y svcauth.ResourceServer) int { return cmp.Compare(key(y), key(x)) })
	return paging.List(all, limit, key), nil
}
