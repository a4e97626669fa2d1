package feed

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
)

func revocation(seq int64, orgID string) store.Change {
	return store.Change{Seq: seq, OrgID: orgID, Kind: store.ChangeRevocation,
		Payload: fmt.Sprintf(`{"jti":"%d","exp":1}`, seq)}
}

// running returns a feed at work, with some live streams of a scope.
func running(t *testing.T, streams int, scope Scope) (f *Feed, live []*Stream) {
	f = newTestFeed(t, 8*streams)
	f.cfg.Heartbeat = time.Hour // it has no change log
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- f.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return f, join(t, f, streams, scope)
}

func join(t *testing.T, f *Feed, streams int, scope Scope) (live []*Stream) {
	for n := range streams {
		s, err := f.Open(instance(scope, n))
		require.NoError(t, err)
		_, ok := f.Subscribe(s, f.Head())
		require.True(t, ok)
		live = append(live, s)
	}
	return live
}

// taken returns the chunks that a stream has been given. Each that waits while
// the last is written is written with the others.
func taken(s *Stream) (chunks [][]byte) {
	for len(s.Chunks) > 0 {
		chunks = append(chunks, <-s.Chunks)
	}
	return chunks
}

// TestABurstIsGivenInOneGo has a thousand revocations come one by one, faster
// than two hundred streams are given each.
func TestABurstIsGivenInOneGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, live := running(t, 200, operator)
		f.Apply(t.Context(), []store.Change{revocation(1, "org_1")})
		synctest.Wait()
		for _, s := range live {
			require.Len(t, taken(s), 1, "what comes after a rest waits for nothing")
		}
		for seq := int64(2); seq <= 1000; seq++ {
			time.Sleep(100 * time.Microsecond)
			f.Apply(t.Context(), []store.Change{revocation(seq, "org_1")})
		}
		time.Sleep(gatherMost)
		const inBurst = 1000 * 100 * time.Microsecond / (200 * gatherFirst)
		for _, s := range live {
			require.Empty(t, s.Why, "it has not been given more than it can take")
			chunks := taken(s)
			require.LessOrEqual(t, len(chunks), int(inBurst)+1)
			all := bytes.Join(chunks, nil)
			for seq, at := 2, 0; seq <= 1000; seq++ {
				found := bytes.Index(all[at:], fmt.Appendf(nil, "\nid: %d\n", seq))
				require.GreaterOrEqual(t, found, 0, "no %d after those before", seq)
				at += found
			}
			require.Equal(t, 999, bytes.Count(all, []byte("event: revocation")))
		}
	})
}

// TestABurstOfOneOrganizationHoldsUpNobodyElse has an organization with many
// streams revoke without end, and now and then another one.
func TestABurstOfOneOrganizationHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, many := running(t, 500, org(1))
		others := slices.Concat(join(t, f, 1, operator), join(t, f, 1, org(2)))
		for seq := int64(1); seq < 2000; seq++ {
			if seq%100 != 0 {
				f.Apply(t.Context(), []store.Change{revocation(seq, "org_1")})
				time.Sleep(time.Millisecond)
				continue
			}
			f.Apply(t.Context(), []store.Change{revocation(seq, "org_2")})
			time.Sleep(2 * gatherLeast)
			synctest.Wait()
			for _, s := range others {
				got := bytes.Join(taken(s), nil)
				require.Contains(t, string(got), fmt.Sprintf("\nid: %d\n", seq), "it has it after a moment")
			}
			for _, s := range many {
				require.Empty(t, s.Why)
				require.NotContains(t, string(bytes.Join(taken(s), nil)), fmt.Sprintf("\nid: %d\n", seq))
			}
		}
	})
}

const confirmEvent = "event: confirm\ndata: {}\n\n"

func confirms(s *Stream) (n int) {
	for _, chunk := range taken(s) {
		n += bytes.Count(chunk, []byte(confirmEvent))
	}
	return n
}

// TestReceiptsAreAskedForByWhomItConcerns has one who waits, and then many.
func TestReceiptsAreAskedForByWhomItConcerns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, operators := running(t, 50, operator)
		own, others := join(t, f, 20, org(1)), join(t, f, 20, org(2))
		f.Apply(t.Context(), []store.Change{revocation(1, "org_1")})
		synctest.Wait()
		for _, s := range operators {
			require.Zero(t, confirms(s), "nobody waits")
		}
		_, _ = taken(own[0]), taken(own[1])
		f.want(org(1).key(), 1)
		synctest.Wait()
		require.Equal(t, 1, confirms(operators[0]))
		require.Equal(t, 1, confirms(own[0]))
		require.Zero(t, confirms(others[0]), "another's is none of its matter")

		began := time.Now()
		for seq := int64(2); seq <= 500; seq++ {
			f.Apply(t.Context(), []store.Change{revocation(seq, "org_1")})
			f.want(org(1).key(), seq)
			time.Sleep(time.Millisecond)
		}
		time.Sleep(time.Second)
		most := int(time.Since(began)*time.Duration(f.callers.receiptsPerSecond)/(70*time.Second)) + 1
		require.LessOrEqual(t, confirms(operators[0]), most, "no more receipts are asked for than may come")
		require.Empty(t, f.wanted)
	})
}

// TestReceiptsAreAskedForTogetherWithWhatIsExpected has one who says that it
// will wait, and revokes then.
func TestReceiptsAreAskedForTogetherWithWhatIsExpected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, operators := running(t, 2, operator)
		own, others := join(t, f, 2, org(1)), join(t, f, 1, org(2))
		all := slices.Concat(operators, own, others)
		given := func() (each []string) {
			synctest.Wait()
			for _, s := range all {
				each = append(each, string(bytes.Join(taken(s), []byte("|"))))
			}
			return each
		}
		given()
		event := func(seq int64, orgID string) string {
			c := revocation(seq, orgID)
			return fmt.Sprintf("event: revocation\nid: %d\ndata: %s\n\n", c.Seq, c.Payload)
		}
		rest := func() { time.Sleep(200 * time.Millisecond); given() }

		done := f.Expect(org(1))
		f.Apply(t.Context(), []store.Change{revocation(1, "org_1")})
		both := event(1, "org_1") + confirmEvent
		require.Equal(t, []string{both, both, both, both, ""}, given(), "one chunk, so one write")
		f.want(org(1).key(), 1)
		require.Equal(t, make([]string, 5), given(), "they have been asked")
		done()
		rest()

		done = f.Expect(org(1))
		done() // it was not committed
		f.Apply(t.Context(), []store.Change{revocation(2, "org_1")})
		alone := event(2, "org_1")
		require.Equal(t, []string{alone, alone, alone, alone, ""}, given(), "nobody waits any more")
		rest()

		defer f.Expect(org(1))()
		defer f.Expect(operator)()
		f.Apply(t.Context(), []store.Change{revocation(3, "org_2")})
		alone = event(3, "org_2")
		require.Equal(t, []string{alone, alone, "", "", alone}, given(), "it is not what is expected")
		rest()
		f.Apply(t.Context(), []store.Change{revocation(4, operator.OrgID)})
		both = event(4, operator.OrgID) + confirmEvent
		require.Equal(t, []string{both, both, "", "", ""}, given(), "they serve the operator")

		f.mu.Lock()
		f.receiptsFrom = time.Now().Add(100 * time.Millisecond)
		f.mu.Unlock()
		f.Apply(t.Context(), []store.Change{revocation(5, "org_1")})
		f.want(org(1).key(), 5)
		time.Sleep(10 * time.Millisecond)
		alone = event(5, "org_1")
		require.Equal(t, []string{alone, alone, alone, alone, ""}, given(), "no more receipts may come now")
		f.want(org(1).key(), 5)
		time.Sleep(100 * time.Millisecond)
		require.Equal(t, []string{confirmEvent, confirmEvent, confirmEvent, confirmEvent, ""}, given())
	})
}

// TestNodesAskForReceiptsThatAreWaitedForAtOthers asks after the revocation, not
// before this node has it.
func TestNodesAskForReceiptsThatAreWaitedForAtOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, live := running(t, 1, operator)
		msg, err := json.Marshal(message{Issuer: "https://auth.example", Node: "there", Number: 1,
			Wanted: map[string]int64{"org_1": 2}})
		require.NoError(t, err)
		f.Apply(t.Context(), []store.Change{revocation(1, "org_1")})
		f.exchange.receive(msg)
		time.Sleep(time.Second)
		require.Zero(t, confirms(live[0]), "it would confirm too little")
		f.Apply(t.Context(), []store.Change{revocation(2, "org_1")})
		time.Sleep(time.Second)
		all := bytes.Join(taken(live[0]), nil)
		require.True(t, bytes.HasSuffix(all, []byte(confirmEvent)), "%s", all)
		require.Contains(t, string(all), "id: 2")
	})
}
