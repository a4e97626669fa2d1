package console_test

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// A member's pages count like its calls of the management API: too many at once
// get a page that says to wait, and later it is served again.
func TestPagesOfOneMemberAreBounded(t *testing.T) {
	s := svctest.New(t, svctest.Options{Environ: []string{"SVCAUTH_LIMITS_MANAGEMENT_PER_SECOND=5"}})
	p := admin(t, s)
	var mu sync.Mutex
	statuses := map[int]int{}
	var group sync.WaitGroup
	for range 40 {
		group.Go(func() {
			status := p.get("/console/roles").status
			mu.Lock()
			defer mu.Unlock()
			statuses[status]++
		})
	}
	group.Wait()
	require.NotZero(t, statuses[http.StatusOK], "%v", statuses)
	require.NotZero(t, statuses[http.StatusTooManyRequests], "%v", statuses)
	require.Equal(t, 40, statuses[http.StatusOK]+statuses[http.StatusTooManyRequests], "%v", statuses)
	require.Eventually(t, func() bool {
		return p.get("/console/roles").status == http.StatusOK
	}, time.Minute, 100*time.Millisecond)
}
