package token

import (
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/store"
)

// Who asks for a token in many words takes no more room than who does in few.
func TestWhatIsAskedForTakesNoRoom(t *testing.T) {
	const maxEach = 1 << 10 // bytes of a key, with what the map has of it
	heap := func() uint64 {
		runtime.GC()
		var stats runtime.MemStats
		runtime.ReadMemStats(&stats)
		return stats.HeapAlloc
	}
	keys, before := map[reuseKey]bool{}, heap()
	client := &clientauth.Client{Credentials: &store.Credentials{ClientID: "sa_1"}}
	for n := range maxReusedEach {
		i := issuance{client: clientauth.Authentication{Client: client}}
		i.request.Scope = strings.Repeat("clusters:view ", 500) + strconv.Itoa(n)
		i.request.Resources = []string{"https://api.example.com/" + strings.Repeat("a", 7000)}
		keys[i.reuseKey()] = true
	}
	after := heap()
	require.Len(t, keys, maxReusedEach)
	require.Less(t, int64(after)-int64(before), int64(maxReusedEach*maxEach))
	runtime.KeepAlive(keys)
}
