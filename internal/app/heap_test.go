package app_test

import (
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A heap that grows fast is collected by what lives then, not by what lived
// before, and at once, not at the next tick.
func TestTheCollectorKeepsUpWithAHeapThatGrows(t *testing.T) {
	if os.Getenv("GOGC") != "" {
		t.Skip("the operator's own pace wins")
	}
	start(t, "")
	percent := func() uint64 {
		sample := []metrics.Sample{{Name: "/gc/gogc:percent"}}
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	// What has a cleanup or lies in a pool outlives one collection, so it may
	// take a few. The ticker alone would take restEvery.
	soon := func(met func() bool, what string) {
		for range 5 {
			runtime.GC()
			deadline := time.Now().Add(time.Second)
			for ; time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
				if met() {
					return
				}
			}
		}
		require.Fail(t, what, "after five collections the heap may grow by %d %%", percent())
	}
	soon(func() bool { return percent() > 200 }, "a small heap is given room")
	large := make([]byte, 256<<20)
	soon(func() bool { return percent() <= 125 }, "a large one may grow by what lives, and 64 MB")
	runtime.KeepAlive(large)
	soon(func() bool { return percent() > 200 }, "when it is gone, all is as before")
}
