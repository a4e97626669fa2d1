package drill_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mute is an OpenID provider that accepts connections and answers nothing, but
// for its metadata if it tells that.
type mute struct {
	issuer   string
	accepted atomic.Int64 // connections
	begun    time.Time
}

func newMute(t *testing.T, tells bool) *mute {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	m := &mute{issuer: "http://" + listener.Addr().String(), begun: time.Now()}
	end := make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			m.accepted.Add(1)
			group.Go(func() { m.serve(conn, tells, end) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		close(end)
		group.Wait()
	})
	return m
}

// serve answers nothing, or nothing but the metadata, until the other side
// hangs up.
func (m *mute) serve(conn net.Conn, tells bool, end chan struct{}) {
	gone := make(chan struct{})
	go func() {
		select {
		case <-end:
		case <-gone:
		}
		_ = conn.Close()
	}()
	defer close(gone)
	in := bufio.NewReader(conn)
	for tells {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		if r.Method != http.MethodGet {
			break
		}
		body, _ := json.Marshal(map[string]any{"issuer": m.issuer, "authorization_endpoint": m.issuer + "/authorize",
			"token_endpoint": m.issuer + "/token",
			"jwks_uri":       m.issuer + "/keys", "id_token_signing_alg_values_supported": []string{"RS256"}})
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s",
			len(body), body)
	}
	_, _ = io.Copy(io.Discard, in)
}

// environ is the configuration of a node that signs members in through it.
func (m *mute) environ() []string {
	return []string{"SVCAUTH_OIDC_ISSUER=" + m.issuer, "SVCAUTH_OIDC_CLIENT_ID=drill"}
}

// get is a request for a page of the console, with further header lines.
func get(path, header string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: drill\r\n" + header + "\r\n"
}

// strangers is connections from many addresses that send one request each, and
// stay.
func (p *pressed) strangers(count int, request string) press {
	return func() func() string {
		c := call(p.t, last, job{Kind: "hold", Addr: p.node.addr, From: fromMany(), Count: count, Begin: request})
		return func() string { c.hangUp(); return "" }
	}
}

// callbacks is strangers that begin a sign-in as anybody may, and come back
// with a code that they made up.
func (p *pressed) callbacks(count int) press {
	return func() func() string {
		c := call(p.t, last, job{Kind: "callback", Addr: p.node.addr, From: fromMany(), Count: count})
		return func() string { c.hangUp(); return "" }
	}
}

// beginCallbacks begins a sign-in on each connection, then asks for its end and
// stays.
func beginCallbacks(j job) (func(order) result, func(), error) {
	lines, hangUp, err := dialAll(j)
	if err != nil {
		return nil, nil, err
	}
	for _, l := range lines {
		state, cookie, err := l.beginSignIn()
		if err == nil {
			_, err = l.conn.Write([]byte(get("/console/sign-in/callback?code=made-up&state="+state,
				"Cookie: "+cookie+"\r\n")))
		}
		if err != nil {
			hangUp()
			return nil, nil, err
		}
	}
	return func(order) result { return result{Asked: len(lines)} }, hangUp, nil
}

func (l *line) beginSignIn() (state, cookie string, err error) {
	_ = l.conn.SetDeadline(time.Now().Add(30 * time.Second))
	if _, err := l.conn.Write([]byte(get("/console/sign-in/provider", ""))); err != nil {
		return "", "", err
	}
	resp, err := http.ReadResponse(l.in, nil)
	if err != nil {
		return "", "", err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return "", "", err
	}
	to, err := url.Parse(resp.Header.Get("Location"))
	if err != nil || resp.StatusCode != http.StatusSeeOther {
		return "", "", fmt.Errorf("the beginning of a sign-in was answered %d", resp.StatusCode)
	}
	cookie, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	return to.Query().Get("state"), cookie, nil
}

// A provider of single sign-on that answers nothing takes nobody's token away,
// and strangers who ask for it cost it a connection now and then.
func TestStrangersAtAProviderThatHangs(t *testing.T) {
	needFull(t)
	provider := newMute(t, false)
	p := newPressed(t, 400, provider.environ()...)
	p.measure("2,050 visitors", p.strangers(2050, get("/console/sign-in/provider", "")))
	looks := provider.accepted.Load()
	most := 1 + int64(time.Since(provider.begun)/(5*time.Second)) // it is left alone for so long after each
	t.Logf("the provider was asked %d times in %v", looks, time.Since(provider.begun).Round(time.Second))
	require.LessOrEqual(t, looks, most)
}

// Answers of a provider to sign-ins that nobody began don't even reach it, on a
// node with fewer slots than there are of them.
func TestStrangersForgeAnswersOfAProvider(t *testing.T) {
	needFull(t)
	provider := newMute(t, false)
	p := newPressed(t, 400, append(provider.environ(), "SVCAUTH_LIMITS_MAX_INFLIGHT=100")...)
	state := strings.Repeat("s", 26)
	attempt := fmt.Sprintf(`{"state":%q,"nonce":%q,"verifier":%q,"next":"/console"}`, state, strings.Repeat("n", 26),
		strings.Repeat("v", 43))
	p.measure("110 forged answers", p.strangers(110, get("/console/sign-in/callback?code=made-up&state="+state,
		"Cookie: svcauth-oidc="+base64.RawURLEncoding.EncodeToString([]byte(attempt))+"\r\n")))
	require.Zero(t, provider.accepted.Load())
}

// Sign-ins that were begun here do reach the provider, and hang there.
func TestStrangersMakeUpCodes(t *testing.T) {
	needFull(t)
	provider := newMute(t, true)
	p := newPressed(t, 400, append(provider.environ(), "SVCAUTH_LIMITS_MAX_INFLIGHT=100")...)
	p.measure("1,000 codes that were made up", p.callbacks(1000))
}
