package app

import (
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nodes that start at one moment with no master key yet all seal with the same
// one.
func TestOneMasterKeyIsMadeByAllWhoStartAtOnce(t *testing.T) {
	for range 50 {
		path := filepath.Join(t.TempDir(), "made", "master.key")
		keys, errs := make([][]byte, 8), make([]error, 8)
		var all sync.WaitGroup
		start := make(chan struct{})
		for i := range keys {
			all.Go(func() {
				<-start
				keys[i], errs[i] = masterKeyFile(path, true)
			})
		}
		close(start)
		all.Wait()
		stored, err := os.ReadFile(path)
		require.NoError(t, err)
		for i := range keys {
			require.NoError(t, errs[i])
			require.Equal(t, stored, keys[i])
		}
		beside, err := os.ReadDir(filepath.Dir(path))
		require.NoError(t, err)
		require.Len(t, beside, 1, "nothing is left beside the key")
		info, err := beside[0].Info()
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode())
	}
}
