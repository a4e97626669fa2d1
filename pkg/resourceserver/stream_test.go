package resourceserver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func newStreaming(set *verify.RevocationSet) *streaming {
	cfg := Config{revocations: set, Clock: time.Now, Logger: discard, progress: newBroadcast(),
		Feed: &Feed{MaxMemory: 1 << 20}}
	f := newSubscriber(cfg, nil, nil, func() {})
	s := &streaming{subscriber: f}
	s.begin(f)
	return s
}

// The keys are fetched when a stream first proves that the set is complete,
// since earlier changes were not announced, and whenever the issuer announces a
// change.
func TestAStreamSaysWhenTheKeysChange(t *testing.T) {
	s, fetched := newStreaming(verify.NewRevocationSet()), 0
	s.rekey = func() { fetched++ }
	for _, step := range []struct {
		event event
		want  int
	}{
		{event{name: "snapshot", id: "1", data: []byte(`{"revocations":[]}`)}, 0}, {event{alive: true, id: "1"}, 1},
		{event{alive: true, id: "1"}, 1},
		{event{name: "keys", data: []byte("{}")}, 2},
		{event{name: "revocation", id: "2", data: []byte(`{"jti":"a","exp":9}`)}, 2}, {event{name: "keys"}, 3},
		{event{name: "unknown"}, 3},
	} {
		require.NoError(t, s.apply(step.event, true))
		require.Equal(t, step.want, fetched, step.event)
	}
	require.Equal(t, "2", s.subscriber.cursor, "news of keys move no cursor")
}

// A stream may be cut anywhere: exactly the complete events were applied, and
// the cursor agrees.
func TestHalfAnEventIsNeverApplied(t *testing.T) {
	events := []string{
		"event: snapshot\ndata: {\"revocations\":[{\"jti\":\"a\",\"exp\":9}],\"more\":true}\n\n",
		"event: snapshot\nid: 10\ndata: {\"revocations\":[{\"jti\":\"b\",\"exp\":9}]}\n\n",
		": heartbeat\nid: 11\n\n",
		"event: revocation\nid: 12\ndata: {\"jti\":\"c\",\"exp\":9}\n\n",
		"event: revocation\r\nid: 13\r\ndata: {\"jti\":\"d\",\r\ndata: \"exp\":9}\r\n\r\n",
		"event: from-the-future\nid: 14\ndata: x\n\n",
		": heartbeat\n\n",
		": heartbeat\nevent: heartbeat\nid: 15\ndata: {}\n\n",
		"event: heartbeat\nid: 16\ndata: {}\n\n",
	}
	entries, cursors := []int{0, 0, 2, 2, 3, 4, 4, 4, 4, 4}, []string{"", "", "10", "11", "12", "13", "14",
		"14", "15", "16"}
	whole := strings.Join(events, "")
	for cut := range len(whole) + 1 {
		complete, length := 0, 0
		for _, e := range events {
			if length += len(e); length <= cut {
				complete++
			}
		}
		set := verify.NewRevocationSet()
		s := newStreaming(set)
		r := eventReader{in: bufio.NewReader(strings.NewReader(whole[:cut]))}
		for {
			e, err := r.next()
			if err != nil {
				require.ErrorIs(t, err, io.EOF)
				break
			}
			require.NoError(t, s.apply(e, true))
		}
		require.Equal(t, entries[complete], set.Len(), "cut after byte %d", cut)
		require.Equal(t, cursors[complete], s.subscriber.cursor, "cut after byte %d", cut)
		require.Equal(t, complete >= 3, s.proven.Load() != nil,
			"a sign of life after the snapshot, and nothing else, proves that all is there (byte %d)", cut)
	}
}

func TestEventsThatCannotBeReadEndTheStreamAndMoveNothing(t *testing.T) {
	for name, text := range map[string]string{
		"a line without end": "event: revocation\ndata: " + strings.Repeat("x", maxEventSize+1),
		"lines without end": "event: revocation\n" + strings.Repeat("data: "+strings.Repeat("x", 1000)+"\n",
			maxEventSize/1000),
		"no JSON":                 "event: revocation\nid: 6\ndata: {\n\n",
		"snapshot no JSON":        "event: snapshot\nid: 6\ndata: [\n\n",
		"snapshot without cursor": "event: snapshot\ndata: {\"revocations\":[]}\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			set := verify.NewRevocationSet()
			set.Add(svcauth.Revocation{JTI: "kept", Exp: 9})
			s := newStreaming(set)
			s.subscriber.cursor = "5"
			r := eventReader{in: bufio.NewReader(strings.NewReader(text))}
			e, err := r.next()
			if err == nil {
				err = s.apply(e, true)
			}
			require.Error(t, err)
			require.NotErrorIs(t, err, io.EOF)
			require.Equal(t, "5", s.subscriber.cursor)
			require.Equal(t, 1, set.Len())
		})
	}
}

func TestASnapshotReplacesOnlyWhenItIsComplete(t *testing.T) {
	set := verify.NewRevocationSet()
	set.Add(svcauth.Revocation{JTI: "old", Exp: 9})
	s := newStreaming(set)
	require.NoError(t,
		s.apply(event{name: "snapshot", data: []byte(`{"revocations":[{"jti":"new","exp":9}],"more":true}`)}, true))
	_, old := set.Revoked(&verify.Claims{JTI: "old"})
	require.True(t, old)
	set.Add(svcauth.Revocation{JTI: "meanwhile", Exp: 9})
	require.NoError(t,
		s.apply(event{name: "snapshot", id: "7", data: []byte(`{"revocations":[{"jti":"last","exp":9}]}`)}, true))
	for jti, want := range map[string]bool{"old": false, "new": true, "last": true, "meanwhile": true} {
		_, ok := set.Revoked(&verify.Claims{JTI: jti})
		require.Equal(t, want, ok, jti)
	}
}

func TestHeartbeatsKeepTheSetFreshAndSilenceIsNoticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{stream: beats}, newSigner(t)
		v := following(t, i, s, nil)
		defer v.Close()
		time.Sleep(time.Second)
		require.NoError(t, v.Ready(t.Context()))
		time.Sleep(5 * time.Hour)
		require.False(t, v.feed.stale())
		require.Equal(t, []string{"stream "}, i.asked())
	})
}

func TestASilentStreamIsResumedByItsCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{}, newSigner(t)
		i.stream = func(w io.Writer, ctx context.Context, lastID string) {
			_, _ = io.WriteString(w, "event: snapshot\nid: 41\ndata: {\"revocations\":[]}\n\n: heartbeat\nid: 42\n\n")
			<-ctx.Done()
		}
		v := following(t, i, s, nil)
		defer v.Close()
		time.Sleep(time.Second)
		require.Equal(t, []string{"stream "}, i.asked())
		time.Sleep(maxSilence)
		require.Equal(t, []string{"stream ", "stream 42"}, i.asked())
		require.False(t, v.feed.stale())
	})
}

func TestWhereNoStreamGetsThroughTheFeedIsPolled(t *testing.T) {
	silent := func(_ io.Writer, ctx context.Context, _ string) { <-ctx.Done() }
	for name, c := range map[string]struct {
		stream func(io.Writer, context.Context, string)
		after  time.Duration
	}{
		"JSON instead of events":     {nil, time.Second},
		"a proxy that holds it back": {silent, maxSilence + time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i := &issuer{stream: c.stream,
					page: `{"cursor":"7","snapshot":true,"revocations":[{"jti":"t1","exp":99999999999}]}`}
				s := newSigner(t)
				v := following(t, i, s, nil)
				defer v.Close()
				time.Sleep(c.after)
				asked := i.asked()
				require.Equal(t, []string{"stream ", "poll "}, asked[:2])
				_, err := v.Verify(t.Context(), s.token(t, claims(time.Now(), nil), nil))
				require.ErrorIs(t, err, ErrRevoked)

				i.set(func() { i.page = `{"cursor":"8","revocations":[]}` })
				time.Sleep(10 * time.Second)
				asked = i.asked()
				require.Equal(t, "poll 8", asked[len(asked)-1])
				require.False(t, v.feed.stale())

				i.set(func() { i.stream = beats })
				time.Sleep(pollInstead)
				asked = i.asked()
				require.Equal(t, "stream 8", asked[len(asked)-1], "the stream is tried again")
				n := len(asked)
				time.Sleep(time.Hour)
				require.Len(t, i.asked(), n)
				require.False(t, v.feed.stale())
			})
		})
	}
}

// TestAFullStreamIsPolledAndTriedAgain says that who finds no place on the
// stream is served all the same, and does not go on polling for ever.
func TestAFullStreamIsPolledAndTriedAgain(t *testing.T) {
	for _, status := range []int{http.StatusServiceUnavailable, http.StatusTooManyRequests} {
		synctest.Test(t, func(t *testing.T) {
			i := &issuer{stream: beats, streamStatus: status,
				page: `{"cursor":"7","snapshot":true,"revocations":[{"jti":"t1","exp":99999999999}]}`}
			s := newSigner(t)
			v := following(t, i, s, nil)
			defer v.Close()
			time.Sleep(time.Second)
			require.Equal(t, []string{"stream ", "poll "}, i.asked()[:2])
			_, err := v.Verify(t.Context(), s.token(t, claims(time.Now(), nil), nil))
			require.ErrorIs(t, err, ErrRevoked)
			i.set(func() { i.page = `{"cursor":"8","revocations":[]}` })
			time.Sleep(time.Hour)
			require.False(t, v.feed.stale())
			streams, last := 0, time.Time{}
			for at, one := range i.asked() {
				if strings.HasPrefix(one, "stream") {
					if streams++; streams > 1 {
						require.Less(t, i.times[at].Sub(last), pollWhileFull)
					}
					last = i.times[at]
				}
			}
			require.InDelta(t, 80, streams, 20, "it is tried again every half a minute to a minute")

			i.set(func() { i.streamStatus = 0 })
			time.Sleep(pollWhileFull)
			n := len(i.asked())
			require.Equal(t, "stream 8", i.asked()[n-1])
			time.Sleep(time.Hour)
			require.Len(t, i.asked(), n)
			require.False(t, v.feed.stale())

			i.set(func() { i.status = 503 })
			i.cut()
			time.Sleep(10 * time.Minute)
			require.True(t, v.feed.stale())
			n = len(i.asked())
			i.set(func() { i.status = 0 })
			time.Sleep(2 * retryAtMost * 3 / 2)
			require.Less(t, len(i.asked())-n,
				4, "who was away whole is not polled for a minute by all of its followers")
		})
	}
}

func TestPagesOfAPollAreReadToTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{}, newSigner(t)
		v := following(t, i, s, func(c *Config) { c.Feed.Poll = true; c.HTTPClient.Transport = paged{i} })
		defer v.Close()
		time.Sleep(500 * time.Millisecond)
		require.Equal(t, []string{"poll ", "poll 1", "poll 2"}, i.asked())
		require.Equal(t, 3, v.cfg.revocations.Len())
		require.False(t, v.feed.stale())
	})
}

// paged answers a poll with one of three pages.
type paged struct{ *issuer }

func (p paged) RoundTrip(req *http.Request) (*http.Response, error) {
	pages := map[string]string{"": `{"cursor":"1","snapshot":true,"more":true,"revocations":[{"jti":"a","exp":99999999999}]}`,
		"1": `{"cursor":"2","more":true,"revocations":[{"jti":"b","exp":99999999999}]}`,
		"2": `{"cursor":"3","revocations":[{"jti":"c","exp":99999999999}]}`}
	p.set(func() { p.page = pages[req.URL.Query().Get("since")] })
	return p.issuer.RoundTrip(req)
}

func TestAFailingFeedIsRetriedLessAndLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{status: 503}, newSigner(t)
		v := following(t, i, s, nil)
		defer v.Close()
		time.Sleep(10 * time.Minute)
		n := len(i.asked())
		require.Greater(t, n, 600/15)
		require.Less(t, n, 600/5+12)
		gaps := map[time.Duration]bool{}
		for at := 1; at < n; at++ {
			gap := i.times[at].Sub(i.times[at-1])
			require.LessOrEqual(t, gap, retryAtMost*3/2)
			gaps[gap] = true
		}
		require.Greater(t, len(gaps), n/2, "no two followers come back in step")
		i.set(func() { i.status, i.stream, i.page = 0, beats, `{"cursor":"1","revocations":[]}` })
		time.Sleep(retryAtMost * 3 / 2)
		require.False(t, v.feed.stale())
	})
}

func TestARefusedTokenIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{status: 401}, newSigner(t)
		dropped := make(chan string, 100)
		v := following(t, i, s, func(c *Config) { c.Feed.Drop = func(token string) { dropped <- token } })
		defer v.Close()
		require.Equal(t, "bearer", <-dropped)
	})
}

func TestReceiptsAreSentOneAtATimeForTheNewestCursor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i, s := &issuer{ackDelay: time.Second}, newSigner(t)
		i.stream = func(w io.Writer, ctx context.Context, lastID string) {
			_, _ = io.WriteString(w, "event: snapshot\nid: 1\ndata: {\"revocations\":[]}\n\n: heartbeat\n\n")
			for n := 2; n <= 1000; n++ {
				time.Sleep(5 * time.Millisecond)
				_, _ = fmt.Fprintf(w, "event: revocation\nid: %d\ndata: {\"jti\":\"%d\",\"exp\":99999999999}\n\n", n, n)
			}
			beats(w, ctx, "1000")
		}
		v := following(t, i, s, nil)
		defer v.Close()
		time.Sleep(20 * time.Second)
		i.mu.Lock()
		defer i.mu.Unlock()
		require.Equal(t, 1, i.ackingMax)
		require.Equal(t, "1000", i.acks[len(i.acks)-1])
		require.Less(t, len(i.acks), 10, "signs of life need no receipt, and what comes together goes together: %v",
			i.acks)
		require.Equal(t, 999, v.cfg.revocations.Len())
	})
}

func TestBeyondMaxStaleness(t *testing.T) {
	for name, c := range map[string]struct {
		onStale OnStale
		active  bool
		away    int
		status  int // 0: accepted
		asks    bool
	}{
		"Closed":                          {Closed, true, 0, 503, false},
		"Introspect, live":                {Introspect, true, 0, 0, true},
		"Introspect, revoked":             {Introspect, false, 0, 401, true},
		"Introspect, issuer away":         {Introspect, true, 1, 503, true},
		"InsecureContinue":                {InsecureContinue, false, 1, 0, false},
		"InsecureContinue, known revoked": {InsecureContinue, true, 0, 401, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				i, s := &issuer{stream: beats, active: c.active, away: c.away}, newSigner(t)
				v := following(t, i, s, func(cfg *Config) { cfg.OnStale, cfg.MaxStaleness = c.onStale, time.Minute })
				defer v.Close()
				token := s.token(t, claims(time.Now(), nil), nil)
				time.Sleep(time.Second)
				_, err := v.Verify(t.Context(), token)
				require.NoError(t, err)
				i.set(func() { i.status = 503 })
				v.feed.cfg.revocations.Add(svcauth.Revocation{JTI: "other", Exp: 99999999999})
				if c.status == 401 && c.onStale == InsecureContinue {
					v.feed.cfg.revocations.Add(svcauth.Revocation{JTI: "t1", Exp: 99999999999})
				}
				i.cut()
				time.Sleep(30 * time.Second)
				if c.onStale != InsecureContinue {
					_, err = v.Verify(t.Context(), token)
					require.NoError(t, err, "within MaxStaleness nothing changes")
				}
				require.Zero(t, i.introspections)
				time.Sleep(31 * time.Second)
				_, err = v.Verify(t.Context(), token)
				require.Equal(t, c.asks, i.introspections > 0)
				if c.status == 0 {
					require.NoError(t, err)
				} else {
					var refusal *Error
					require.ErrorAs(t, err, &refusal)
					require.Equal(t, c.status, refusal.Status)
				}
				i.set(func() { i.status, i.page = 0, `{"cursor":"1","revocations":[]}` })
				time.Sleep(20 * time.Second)
				if c.status != 401 || c.onStale == Introspect {
					_, err = v.Verify(t.Context(), token)
					require.NoError(t, err, "and all is well again when the feed is")
				}
			})
		})
	}
}

// TestANudgeLeadsToOnePollAndManyToFew says what a nudge is worth: the poll
// comes at once, and no number of them makes the feed be asked more than four
// times a second.
func TestANudgeLeadsToOnePollAndManyToFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{page: `{"cursor":"1","revocations":[]}`}
		v := following(t, i, newSigner(t), func(c *Config) { c.Feed.Poll, c.Feed.Every = true, 20*time.Second })
		defer v.Close()
		time.Sleep(time.Second)
		require.Len(t, i.asked(), 1)
		v.Nudge()
		synctest.Wait()
		require.Len(t, i.asked(), 2)
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			v.Nudge()
		}
		require.InDelta(t, 42, len(i.asked()), 2)
		i.set(func() { i.status = 500 })
		v.Nudge()
		before := len(i.asked())
		for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
			v.Nudge()
		}
		require.Less(t, len(i.asked())-before, 10, "who fails is asked less and less often, whoever nudges")
	})
}
