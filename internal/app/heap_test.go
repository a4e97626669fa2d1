package app_test

import (
	"os"
	"runtime"
	"runtime/metrics"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A heap that grows fast is collected by what lives then, not by what lived before: at once, not when somebody next looks.
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
	runtime.GC()
	require.Eventually(t, func() bool { return percent() > 200 }, 2*time.Second, 10*time.Millisecond, "a small heap is given room")
	large := make([]byte, 256<<20)
	runtime.GC()
	require.Eventually(t, func() bool { return percent() <= 125 }, 2*time.Second, 10*time.Millisecond, "a large one may grow by what lives, and 64 MB")
	runtime.KeepAlive(large)
	runtime.GC()
	require.Eventually(t, func() bool { return percent() > 200 }, 2*time.Second, 10*time.Millisecond, "when it is gone, all is as before")
}
