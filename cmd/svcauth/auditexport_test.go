package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// exported returns the ids of the events on standard output, and how often each
// is there.
func exported(t *testing.T, out string) (ids []string, times map[string]int) {
	t.Helper()
	times = map[string]int{}
	for line := range strings.Lines(out) {
		var e svcauth.AuditEvent
		require.NoError(t, json.Unmarshal([]byte(line), &e), line)
		ids = append(ids, e.ID)
		times[e.ID]++
	}
	return ids, times
}

// Whoever follows the log has each event once, oldest first, whatever becomes
// of the server meanwhile, and goes on later where it stopped.
func TestFollowingTheAuditLogSurvivesARestart(t *testing.T) {
	every, backoff := followEvery, followBackoff
	t.Cleanup(func() { followEvery, followBackoff = every, backoff })
	followEvery = 50 * time.Millisecond
	followBackoff = httpx.Backoff{First: 50 * time.Millisecond, Most: 200 * time.Millisecond}
	server := svctest.New(t, svctest.Options{})
	for name, value := range environment(server) {
		t.Setenv(name, value)
	}
	admin := server.Admin()
	made := 0
	create := func() {
		t.Helper()
		made++
		_, err := admin.CreateRole(t.Context(), svcauth.NewRole{Name: fmt.Sprint("role ", made)})
		require.NoError(t, err)
	}
	create()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, messages := new(syncbuf.Buffer), new(syncbuf.Buffer)
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"audit", "export", "--follow"}, strings.NewReader(""), out, messages)
	}()
	seen := func(text string, in *syncbuf.Buffer) {
		t.Helper()
		require.Eventually(t, func() bool { return strings.Contains(in.String(), text) }, 30*time.Second,
			20*time.Millisecond, "%s\n%s", text, messages)
	}
	seen(`"name":"role 1"`, out)
	create()
	seen(`"name":"role 2"`, out)
	server.Stop()
	seen("can't be read now", messages)
	server.Start()
	admin = server.Admin()
	create()
	seen(`"name":"role 3"`, out)
	cancel()
	require.Equal(t, 0, <-ended)
	ids, times := exported(t, out.String())
	for id, n := range times {
		require.Equal(t, 1, n, id)
	}
	seen("Go on with --since "+ids[len(ids)-1], messages)
	listed := 0
	for event, err := range svcauth.All(t.Context(), func(ctx context.Context,
		o svcauth.ListOptions) (svcauth.List[svcauth.AuditEvent], error) {
		return admin.AuditEvents(ctx, svcauth.AuditFilter{ListOptions: o})
	}, svcauth.ListOptions{}) {
		require.NoError(t, err)
		require.Equal(t, 1, times[event.ID], event.Action)
		listed++
	}
	require.Len(t, ids, listed)

	create()
	require.Eventually(t, func() bool {
		var rest strings.Builder
		status := run(t.Context(), []string{"audit", "export", "--since", ids[len(ids)-1]},
			strings.NewReader(""), &rest, messages)
		require.Equal(t, 0, status, messages.String())
		more, _ := exported(t, rest.String())
		return len(more) == 1 && strings.Contains(rest.String(), `"name":"role 4"`)
	}, 30*time.Second, 50*time.Millisecond)
}

// What will not pass by itself ends the export, and says where to go on.
func TestFollowingTheAuditLogEndsWhereWaitingIsNoUse(t *testing.T) {
	server := svctest.New(t, svctest.Options{})
	for name, value := range environment(server) {
		t.Setenv(name, value)
	}
	unknown := svcauth.NewID(svcauth.PrefixEvent)
	var out, messages strings.Builder
	require.Equal(t, 1, run(t.Context(), []string{"audit", "export", "--follow", "--since", unknown},
		strings.NewReader(""), &out, &messages))
	require.Contains(t, messages.String(), "The log has no event "+unknown)
	require.Empty(t, out.String())
	t.Setenv("SVCAUTH_URL", "http://127.0.0.1:1")
	messages.Reset()
	require.Equal(t, 1, run(t.Context(), []string{"audit", "export", "--follow"}, strings.NewReader(""), &out,
		&messages), "a server that never answered is a wrong address")
	require.Contains(t, messages.String(), "no server answers")
}
