package store

import (
	"fmt"
	mathrand "math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Nodes that note the use of the same clients at the same time do not lock each
// other out: none of their transactions fails, and the latest moment counts.
func TestNodesNoteTheSameClientsAtOnce(t *testing.T) {
	databases(t, func(t *testing.T, s *Store) {
		filled(t, s)
		crowd(t, s, 2000)
		var nodes sync.WaitGroup
		for node := range 4 {
			nodes.Go(func() {
				for round := range 25 {
					used := map[string]int64{}
					for range 500 {
						used[fmt.Sprint("sa_", 1_000_000+mathrand.IntN(2000))] = int64(4*round + node)
					}
					used["sa_1000000"] = int64(4*round + node)
					assert.NoError(t, s.NoteUse(t.Context(), used, nil))
				}
			})
		}
		nodes.Wait()
		last, err := count(t.Context(), s.Read(), `SELECT last_used_ms FROM client WHERE id = 'sa_1000000'`)
		require.NoError(t, err)
		require.EqualValues(t, 4*24+3, last)
	})
}
