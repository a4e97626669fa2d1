package freeport

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nobody is given what another one has not begun to listen on yet.
func TestEachPortIsGivenOnce(t *testing.T) {
	var seen sync.Map
	var group sync.WaitGroup
	for range 20 {
		group.Go(func() {
			for range 100 {
				_, twice := seen.LoadOrStore(Address(t), true)
				if twice {
					t.Error("a port was given twice")
				}
			}
		})
	}
	group.Wait()
	port, err := Port()
	require.NoError(t, err)
	require.Positive(t, port)
}
