package drill_test

import (
	"bufio"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// begin opens what a job needs and returns what carries out its orders.
func begin(j job) (do func(order) result, stop func(), err error) {
	switch j.Kind {
	case "right":
		return beginRight(j)
	case "hold":
		return beginHold(j)
	case "flood":
		return beginFlood(j)
	case "many":
		return beginMany(j)
	case "repeat":
		return beginRepeat(j)
	case "guess":
		return beginGuess(j)
	case "enter":
		return beginEnter(j)
	case "tenant":
		return beginTenant(j)
	case "operator":
		return beginOperator(j)
	case "steady":
		return beginSteady(j)
	case "anywhere":
		return beginAnywhere(j)
	case "seldom":
		return beginSeldom(j)
	case "makeup":
		return beginMakeUp(j)
	case "callback":
		return beginCallbacks(j)
	}
	return nil, nil, fmt.Errorf("there is no caller of kind %q", j.Kind)
}

const tokenForm = "grant_type=client_credentials"

func tokenRequest(c credential) []byte {
	auth := base64.StdEncoding.EncodeToString([]byte(c.ID + ":" + c.Secret))
	return fmt.Appendf(nil, "POST /oauth2/token HTTP/1.1\r\nHost: drill\r\nAuthorization: Basic %s\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
		auth, len(tokenForm), tokenForm)
}

// line is one connection on which requests follow each other.
type line struct {
	conn net.Conn
	in   *bufio.Reader
}

func dial(j job, n int) (*line, error) {
	d := net.Dialer{Timeout: 20 * time.Second}
	if len(j.From) > 0 {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(j.From[n%len(j.From)])}
	}
	conn, err := d.Dial("tcp", j.Addr)
	if err != nil {
		return nil, fmt.Errorf("connection %d: %w", n, err)
	}
	return &line{conn, bufio.NewReaderSize(conn, 8<<10)}, nil
}

func dialAll(j job) (lines []*line, stop func(), err error) {
	stop = func() {
		for _, l := range lines {
			_ = l.conn.Close()
		}
	}
	for n := range j.Count {
		l, err := dial(j, n)
		if err != nil {
			stop()
			return nil, nil, err
		}
		lines = append(lines, l)
	}
	return lines, stop, nil
}

// ask sends a request and reads the whole answer.
func (l *line) ask(request []byte) (int, error) {
	_ = l.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := l.conn.Write(request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// every is the time from one request of a right client to its next.
const every = 5 * time.Millisecond

// beginRight is clients with right secrets, each on a connection of its own,
// each asking every five milliseconds. One that was answered late asks again at
// once, and its time counts from when it would have asked: else a node that
// stands still would be asked little, and look well.
func beginRight(j job) (func(order) result, func(), error) {
	return beginPaced(j, every, func(n int, _ *line) []byte { return tokenRequest(j.Clients[n%len(j.Clients)]) })
}

// beginPaced sends requests at a steady pace on each connection, evenly over
// all. A request's time counts from when it was due, but not how late its
// sender woke: that is no matter of the node's.
func beginPaced(j job, pace time.Duration, next func(n int, l *line) []byte) (func(order) result, func(), error) {
	lines, stop, err := dialAll(j)
	return func(o order) result {
		var mu sync.Mutex
		var took []time.Duration
		var r result
		var group sync.WaitGroup
		for n, l := range lines {
			group.Go(func() {
				due := time.Now().Add(time.Duration(n) * pace / time.Duration(len(lines)))
				for end := due.Add(o.For); due.Before(end); due = due.Add(pace) {
					request := next(n, l)
					began := due
					if wait := time.Until(due); wait > 0 {
						time.Sleep(wait)
						began = time.Now()
					}
					status, err := l.ask(request)
					mu.Lock()
					took = append(took, time.Since(began))
					if err != nil || status != http.StatusOK && status != http.StatusNoContent {
						r.Refused++
						r.complain("a %s request was answered %d %v", j.Kind, status, err)
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		group.Wait()
		slices.Sort(took)
		r.Asked, r.P50, r.P99 = len(took), took[len(took)/2], took[len(took)*99/100]
		return r
	}, stop, err
}

// beginHold opens connections and sends the beginning of something on each. It
// reads or writes a little of the rest once a second, or nothing.
func beginHold(j job) (func(order) result, func(), error) {
	lines, hangUp, err := dialAll(j)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		if j.Trickle == "read" {
			_ = l.conn.(*net.TCPConn).SetReadBuffer(4 << 10)
		}
		_ = l.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
		if _, err := l.conn.Write([]byte(j.Begin)); err != nil && !j.Mayfail {
			hangUp()
			return nil, nil, err
		}
	}
	done := make(chan struct{})
	var group sync.WaitGroup
	if j.Trickle != "" {
		group.Go(func() { trickle(lines, j.Trickle, done) })
	}
	return func(order) result { return result{Asked: len(lines)} }, func() { close(done); group.Wait(); hangUp() }, nil
}

// trickle goes round the connections once a second, evenly.
func trickle(lines []*line, how string, done chan struct{}) {
	some := make([]byte, 1024)
	for n := 0; ; n = (n + 20) % len(lines) {
		select {
		case <-done:
			return
		case <-time.After(time.Second * 20 / time.Duration(len(lines))):
		}
		for _, l := range lines[n:min(n+20, len(lines))] {
			_ = l.conn.SetDeadline(time.Now().Add(time.Millisecond))
			if how == "read" {
				_, _ = l.conn.Read(some)
			} else {
				_, _ = l.conn.Write([]byte("x"))
			}
		}
	}
}

// beginFlood sends wrong secrets, on each connection the next as soon as the
// last is answered, until it is told to count them.
func beginFlood(j job) (func(order) result, func(), error) {
	lines, hangUp, err := dialAll(j)
	var mu sync.Mutex
	r := result{Statuses: map[int]int{}}
	var ended atomic.Bool
	var group sync.WaitGroup
	for n, l := range lines {
		request := tokenRequest(j.Clients[n%len(j.Clients)])
		group.Go(func() {
			for !ended.Load() {
				status, err := l.ask(request)
				if ended.Load() {
					return
				}
				mu.Lock()
				r.Statuses[status]++
				r.Asked++
				if err != nil || status == http.StatusOK {
					r.complain("a wrong secret was answered %d %v", status, err)
				}
				mu.Unlock()
				if err != nil {
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
	}, func() { ended.Store(true); hangUp(); group.Wait() }, err
}

// beginMany asks for a token of each of many clients, in the order in which it
// got them.
func beginMany(j job) (func(order) result, func(), error) {
	lines, hangUp, err := dialAll(j)
	asked := 0
	return func(o order) result {
		part := j.Clients[asked:min(asked+o.Of, len(j.Clients))]
		asked += len(part)
		var mu sync.Mutex
		var next atomic.Int64
		r := result{Statuses: map[int]int{}}
		began := time.Now()
		var group sync.WaitGroup
		for _, l := range lines {
			group.Go(func() {
				for n := next.Add(1) - 1; n < int64(len(part)); n = next.Add(1) - 1 {
					status, err := l.ask(tokenRequest(part[n]))
					mu.Lock()
					r.Asked++
					r.Statuses[status]++
					if err != nil || status != http.StatusOK {
						r.Refused++
						r.complain("one of many clients was answered %d %v", status, err)
					}
					mu.Unlock()
					if err != nil {
						return
					}
				}
			})
		}
		group.Wait()
		r.Took = time.Since(began)
		return r
	}, hangUp, err
}
