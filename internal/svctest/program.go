package svctest

import (
	"crypto/tls"
	"errors"
	"net"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// StartProgram starts a program, which ends with the test, and waits until it
// answers. What it has said is shown if the test failed.
func StartProgram(t testing.TB, cmd *exec.Cmd, answers ...func() error) {
	t.Helper()
	said := &syncbuf.Buffer{}
	cmd.Stdout, cmd.Stderr = said, said
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("%s said:\n%s", cmd.Path, said)
		}
	})
	for _, ask := range answers {
		deadline := time.Now().Add(time.Minute)
		for err := ask(); err != nil; err = ask() {
			select {
			case <-ended:
				require.FailNow(t, "it ended", "%s, before it answered: %v", cmd.Path, err)
			case <-time.After(20 * time.Millisecond):
			}
			require.True(t, time.Now().Before(deadline), "%s does not answer: %v", cmd.Path, err)
		}
	}
}

// Listens asks whether somebody takes connections at the address.
func Listens(address string) func() error {
	return func() error {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return err
		}
		defer conn.Close()
		if conn.LocalAddr().String() == address { // the system may choose that very port for the caller
			return errors.New("nobody but the caller is there")
		}
		return nil
	}
}

// ServesTLS asks whether a server at the address has a certificate for the
// name. It may take connections before: Caddy makes its own after it listens.
func ServesTLS(address, name string) func() error {
	return func() error {
		conn, err := tls.Dial("tcp", address, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		if err != nil {
			return err
		}
		return conn.Close()
	}
}
