package drill_test

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// signInRequest is the console's sign-in form as a browser sends it.
func signInRequest(email, password string) []byte {
	form := url.Values{"email": {email}, "password": {password}}.Encode()
	return fmt.Appendf(nil, "POST /console/sign-in HTTP/1.1\r\nHost: drill\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", len(form), form)
}

// loopback returns the nth of a great many loopback addresses, each of which
// counts as a network of its own. first keeps callers apart.
func loopback(first, n int) string {
	return fmt.Sprintf("127.%d.%d.%d", first+n>>16&15, n>>8&255, n&255)
}

// beginGuess sends wrong passwords. After three of them a caller goes on from
// another network.
func beginGuess(j job) (func(order) result, func(), error) {
	var mu sync.Mutex
	r := result{Statuses: map[int]int{}}
	var ended atomic.Bool
	var networks, guesses atomic.Int64
	var group sync.WaitGroup
	three := func() error {
		l, err := dial(job{Addr: j.Addr, From: []string{loopback(32, int(networks.Add(1))%j.Networks)}}, 0)
		if err != nil {
			return err
		}
		defer l.conn.Close()
		for range 3 {
			email := j.Clients[0].ID
			if n := guesses.Add(1); n%2 == 0 {
				email = fmt.Sprintf("nobody%d@example.com", n)
			}
			status, err := l.ask(signInRequest(email, "not what was chosen"))
			if err != nil || ended.Load() {
				return err
			}
			mu.Lock()
			r.Statuses[status]++
			r.Asked++
			mu.Unlock()
		}
		return nil
	}
	for range j.Count {
		group.Go(func() {
			for !ended.Load() {
				if err := three(); err != nil {
					mu.Lock()
					r.complain("a guess: %v", err)
					mu.Unlock()
					return
				}
			}
		})
	}
	began := time.Now()
	return func(order) result {
		mu.Lock()
		defer mu.Unlock()
		counted := r
		counted.Took = time.Since(began)
		r, began = result{Statuses: map[int]int{}}, time.Now()
		return counted
	}, func() { ended.Store(true); group.Wait() }, nil
}

// beginEnter signs in with the right password four times a second, each time
// from a network that was not there before.
func beginEnter(j job) (func(order) result, func(), error) {
	n := 0
	request := signInRequest(j.Clients[0].ID, j.Clients[0].Secret)
	return func(o order) result {
		r := result{Statuses: map[int]int{}}
		var took []time.Duration
		for end := time.Now().Add(o.For); time.Now().Before(end); {
			n++
			began := time.Now()
			l, err := dial(job{Addr: j.Addr, From: []string{loopback(64, n)}}, 0)
			status := 0
			if err == nil {
				status, err = l.ask(request)
				_ = l.conn.Close()
			}
			took = append(took, time.Since(began))
			r.Statuses[status]++
			if err != nil || status != http.StatusSeeOther {
				r.Refused++
			}
			time.Sleep(max(0, 250*time.Millisecond-time.Since(began)))
		}
		slices.Sort(took)
		r.Asked, r.P50, r.P99 = len(took), took[len(took)/2], took[len(took)*99/100]
		return r
	}, func() {}, nil
}

// guess is strangers on many networks that send wrong passwords while somebody
// with the right one signs in, whom nothing may turn away.
func (p *pressed) guess(callers, networks int) press {
	return func() func() string {
		admin := []credential{{p.adminEmail, p.adminPassword.Reveal()}}
		guesses := call(p.t, last,
			job{Kind: "guess", Addr: p.node.addr, Count: callers, Networks: networks, Clients: admin})
		owner := call(p.t, last, job{Kind: "enter", Addr: p.node.addr, Clients: admin})
		owner.order(order{For: time.Second + pressureWindow})
		return func() string {
			in := owner.answer()
			r := guesses.ask(order{})
			owner.hangUp()
			guesses.hangUp()
			require.Zero(p.t, in.Refused, "right passwords are not turned away: %v", in.Statuses)
			require.NotZero(p.t, r.Asked)
			return fmt.Sprintf("%.0f wrong passwords a second (%v), %d right ones, median %d ms",
				float64(r.Asked)/r.Took.Seconds(), r.Statuses, in.Asked, in.P50.Milliseconds())
		}
	}
}

// Wrong passwords from many networks cost right clients little, and somebody
// who has the right one signs in all the while.
func TestStrangersGuessPasswords(t *testing.T) {
	needFull(t)
	p := newPressed(t, 400)
	p.measure("wrong passwords, 16 callers, new networks all the time", p.guess(16, 1<<20))
}
