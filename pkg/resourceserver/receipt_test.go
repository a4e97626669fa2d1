package resourceserver

import (
	"context"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestABurstIsConfirmedByOneReceipt has a thousand revocations come at once, and
// then somebody who waits for one.
func TestABurstIsConfirmedByOneReceipt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{}, newSigner(t)
		asked := make(chan struct{})
		revoke := func(w io.Writer, first, last int) {
			for n := first; n <= last; n++ {
				_, _ = fmt.Fprintf(w, "event: revocation\nid: %d\ndata: {\"jti\":\"%d\",\"exp\":99999999999}\n\n", n, n)
				time.Sleep(time.Millisecond)
			}
		}
		i.stream = func(w io.Writer, ctx context.Context, lastID string) {
			_, _ = io.WriteString(w, "event: snapshot\nid: 1\ndata: {\"revocations\":[]}\n\n: heartbeat\n\n")
			time.Sleep(time.Second)
			revoke(w, 2, 1000)
			<-asked
			revoke(w, 1001, 1001)
			_, _ = io.WriteString(w, "event: confirm\ndata: {}\n\n")
			time.Sleep(time.Second)
			_, _ = io.WriteString(w, "event: confirm\ndata: {}\n\n")
			beats(w, ctx, "1001")
		}
		v := following(t, i, s, nil)
		defer v.Close()
		acks := func() []string {
			i.mu.Lock()
			defer i.mu.Unlock()
			return slices.Clone(i.acks)
		}
		time.Sleep(time.Second)
		require.Equal(t, []string{"1"}, acks(), "who comes says so at once")
		time.Sleep(time.Second + receiptLater)
		require.Equal(t, []string{"1", "1000"}, acks())
		close(asked)
		time.Sleep(2*receiptWithin + time.Millisecond)
		require.Equal(t, []string{"1", "1000", "1001"}, acks(), "somebody waits")
		time.Sleep(time.Minute)
		require.Equal(t, []string{"1", "1000", "1001"}, acks(), "nothing is said twice")
	})
}
