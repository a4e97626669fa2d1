package access

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// However many dry runs an organization asks for, they hold others up for a part
// of the time only: beyond that they are answered without a look.
func TestLooksHaveATimeByOrganization(t *testing.T) {
	s, looks := New(Config{}), 0
	judge := func(org string) error {
		tx := s.tx(nil, Actor{OrgID: org})
		tx.Caution = svcauth.Caution{DryRun: true}
		return tx.judge(t.Context(), func(ctx context.Context) error {
			looks++
			<-ctx.Done() // it takes all the time that there is
			return ctx.Err()
		})
	}
	const most = judgingAtOnce / 100 // of maxJudging
	for range 2 * most {
		require.ErrorContains(t, judge("org_1"), "can't be found out in time")
	}
	require.GreaterOrEqual(t, looks, most/2)
	require.Less(t, looks, most+most/2)
	before := looks
	require.Error(t, judge("org_2"))
	require.Equal(t, before+1, looks, "another organization has a time of its own")
}
