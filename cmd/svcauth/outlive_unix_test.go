//go:build unix

package main

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/freeport"
)

// process is a server that runs as a program of its own.
type process struct {
	*exec.Cmd
	address, ops string
	log          *os.File
	lines        *bufio.Reader
	ended        chan error
}

// serve starts `svcauth serve` by the command, which is that or a shell's, and
// returns when it serves.
func serve(t *testing.T, command ...string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{
		Cmd:     exec.Command(command[0], command[1:]...),
		address: freeport.Address(t),
		ops:     freeport.Address(t),
		ended:   make(chan error, 1),
	}
	p.Dir = dir
	p.Env = append(os.Environ(), "SVCAUTH_ISSUER=http://"+p.address, "SVCAUTH_LISTEN="+p.address, "SVCAUTH_OPS_LISTEN="+
		p.ops,
		"SVCAUTH_DATABASE_URL=sqlite://"+filepath.Join(dir, "db"), "SVCAUTH_MASTER_KEY_FILE="+filepath.Join(dir, "key"))
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	p.log, p.lines, p.Stderr = reader, bufio.NewReader(reader), writer
	require.NoError(t, p.Start())
	require.NoError(t, writer.Close())
	go func() { p.ended <- p.Wait() }()
	t.Cleanup(func() {
		_ = p.Process.Kill()
		_ = reader.Close()
	})
	p.await(t, `"msg":"serving"`)
	return p
}

// await reads the log up to a line that has what.
func (p *process) await(t *testing.T, what string) {
	t.Helper()
	for {
		line, err := p.lines.ReadString('\n')
		require.NoError(t, err, "before the line %q", what)
		if strings.Contains(line, what) {
			return
		}
	}
}

func (p *process) stop(t *testing.T) {
	t.Helper()
	require.NoError(t, p.Process.Signal(syscall.SIGTERM))
	require.NoError(t, <-p.ended)
}

// A server lives on if the program that reads its log dies, counts the lines
// that nobody reads, and ends in good order; SIGHUP does not end it either.
func TestServerOutlivesWhoReadsItsLog(t *testing.T) {
	p := serve(t, "svcauth", "serve") // this very program: see TestMain
	require.NoError(t, p.Process.Signal(syscall.SIGHUP))
	p.await(t, "SIGHUP changes nothing")
	require.NoError(t, p.log.Close())

	lost := regexp.MustCompile(`(?m)^svcauth_queue_dropped_total\{queue="log"\} [1-9]`)
	require.Eventually(t, func() bool {
		for _, url := range []string{"http://" + p.address + "/nowhere", "http://" + p.ops + "/metrics"} {
			answer, err := http.Get(url)
			if err != nil {
				return false
			}
			text, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if lost.Match(text) {
				return true
			}
		}
		return false
	}, time.Minute, 50*time.Millisecond, "the lines that nobody reads are counted")
	p.stop(t)
}

// A server whose terminal is gone stops in good order.
func TestHangupEndsServerOnTerminal(t *testing.T) {
	ctx, release := outlive(t.Context(), nil, true)
	defer release()
	require.NoError(t, syscall.Kill(os.Getpid(), syscall.SIGHUP))
	<-ctx.Done()
	require.ErrorIs(t, context.Cause(ctx), errHangup)
}

// Strangers who connect take no files away that the server needs, however few
// it may have and whatever limits.max_connections says.
func TestConnectionsLeaveFilesForTheServer(t *testing.T) {
	p := serve(t, "sh", "-c", "ulimit -n 200 && exec svcauth serve")
	for range 300 {
		conn, err := net.Dial("tcp", p.address)
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() })
	}
	client := &http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}
	for _, url := range []string{"http://" + p.address + "/readyz", "http://" + p.ops + "/metrics"} {
		answer, err := client.Get(url)
		require.NoError(t, err)
		_ = answer.Body.Close()
		require.Equal(t, http.StatusOK, answer.StatusCode)
	}
	p.stop(t)
}
