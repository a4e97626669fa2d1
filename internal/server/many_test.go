package server_test

import (
	"bytes"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// With two thousand streams at one node, each gets each revocation. They are
// raw connections, so the subscribers themselves cost little.
func TestTwoThousandFollowersOfOneNode(t *testing.T) {
	needs.Time(t)
	const followers = 2000
	var files syscall.Rlimit
	require.NoError(t, syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files))
	if files.Cur < 2*followers+500 {
		t.Skipf("needs %d open files at once; the limit is %d", 2*followers+500, files.Cur)
	}
	s := svctest.New(t, svctest.Options{})
	account, api := s.Account("ci", "clusters:view"), s.Account("api", svcauth.TokensIntrospect)
	token := tokenOf(s, api)
	goroutines, memory := runtime.NumGoroutine(), inUse()
	var joined, got atomic.Int64
	var readers sync.WaitGroup
	conns := make([]net.Conn, followers)
	for i := range conns {
		conn, err := net.Dial("tcp", address(s))
		require.NoError(t, err)
		conns[i] = conn
		_, err = fmt.Fprintf(conn,
			"GET /oauth2/revocations HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nSvcauth-Instance: "+
				"%d\r\nAuthorization: Bearer %s\r\n\r\n", i, token)
		require.NoError(t, err)
		readers.Go(func() { count(conn, &joined, &got) })
	}
	defer readers.Wait()
	defer func() {
		for _, conn := range conns {
			_ = conn.Close()
		}
	}()
	require.Eventually(t, func() bool { return joined.Load() == followers }, 2*patience, 10*time.Millisecond)
	t.Logf("%d followers: %.1f goroutines and %.1f KiB each, the reading ends included", followers,
		float64(runtime.NumGoroutine()-goroutines)/followers, float64(inUse()-memory)/followers/1024)
	require.Less(t, (inUse()-memory)/followers, int64(100<<10))
	for range 3 {
		got.Store(0)
		text := tokenOf(s, account)
		began := time.Now()
		require.Equal(t, 200,
			s.Post("/oauth2/revoke", account.ClientID, account.ClientSecret, url.Values{"token": {text}}).Status)
		require.Eventually(t, func() bool { return got.Load() == followers }, patience, time.Millisecond)
		t.Logf("the last one had it %v after it was asked for", time.Since(began))
	}
	require.Equal(t, strconv.Itoa(followers), fmt.Sprint(enforcement(t, s, account, "0s").Connected))
	require.NotContains(t, s.Log(), "stream_slow")
}

func inUse() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// count reads a stream and counts its first sign of life and its revocations.
func count(conn net.Conn, joined, got *atomic.Int64) {
	buffer := make([]byte, 2048)
	begun := false
	for {
		n, err := conn.Read(buffer)
		if err != nil {
			return
		}
		if !begun && bytes.Contains(buffer[:n], []byte(": heartbeat")) {
			begun = true
			joined.Add(1)
		}
		got.Add(int64(bytes.Count(buffer[:n], []byte("event: revocation"))))
	}
}
