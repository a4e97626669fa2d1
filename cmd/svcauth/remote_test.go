package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// call runs a command as the administrator of a server.
func call(t *testing.T, server *svctest.Server, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	for name, value := range environment(server) {
		t.Setenv(name, value)
	}
	t.Setenv("HOME", t.TempDir())
	var out, err bytes.Buffer
	status = run(t.Context(), args, strings.NewReader(""), &out, &err)
	return status, out.String(), err.String()
}

// Lists longer than a page come whole, each thing once, newest first; so does
// the export.
func TestAllPages(t *testing.T) {
	server := svctest.New(t, svctest.Options{})
	const n = 2*svcauth.MaxPageSize + 5
	for i := range n {
		_, err := server.App.Access.CreateServiceAccount(server.System(), svcauth.NewServiceAccount{
			Name: fmt.Sprintf("account-%03d", i),
		})
		require.NoError(t, err)
	}
	status, out, stderr := call(t, server, "service-account", "list", "--all", "-o", "json")
	require.Zero(t, status, stderr)
	var whole svcauth.List[svcauth.ServiceAccount]
	require.NoError(t, json.Unmarshal([]byte(out), &whole))
	require.Nil(t, whole.NextCursor)
	require.Len(t, whole.Items, n)
	names := map[string]bool{}
	for i, account := range whole.Items {
		names[account.Name] = true
		require.True(t, i == 0 || account.ID < whole.Items[i-1].ID, "an id begins with the moment")
	}
	require.Len(t, names, n)

	status, out, stderr = call(t, server, "audit", "export", "--action", "service_account.create")
	require.Zero(t, status, stderr)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	require.Len(t, lines, n)
	for _, line := range lines {
		var event svcauth.AuditEvent
		require.NoError(t, json.Unmarshal([]byte(line), &event))
		require.True(t, names[event.Target.Name])
		delete(names, event.Target.Name)
	}
	require.Empty(t, names)

	status, _, stderr = call(t, server, "service-account", "get", "account-000") // behind every page
	require.Zero(t, status, stderr)
	status, _, stderr = call(t, server, "service-account", "get", "account-0")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "did you mean")
}

// A server with a certificate of a private CA is refused until that is named.
func TestPrivateCA(t *testing.T) {
	server := svctest.New(t, svctest.Options{TLS: true})
	status, out, stderr := call(t, server, "me")
	require.Equal(t, 1, status)
	require.Empty(t, out)
	require.Contains(t, stderr, "--ca-file or SVCAUTH_CA_FILE")
	status, out, stderr = call(t, server, "me", "--ca-file", server.CAFile)
	require.Zero(t, status, stderr)
	require.Contains(t, out, svctest.AdminEmail)
	status, out, stderr = call(t, server, "token", "--ca-file", server.CAFile)
	require.Zero(t, status, stderr)
	var inspected, failed bytes.Buffer
	require.Zero(t,
		run(t.Context(), []string{"token", "inspect", "--ca-file", server.CAFile}, strings.NewReader(out), &inspected,
			&failed), failed.String())
	status, _, stderr = call(t, server, "me", "--ca-file", "/nowhere")
	require.Equal(t, 1, status)
	require.Contains(t, stderr, "ca_file (from --ca-file)")
}

// scripted is a server that gives tokens and answers /v1 as the test says.
func scripted(t *testing.T, v1 http.HandlerFunc) {
	t.Helper()
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	answer := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write([]byte(body))
		}
	}
	mux.Handle("/.well-known/oauth-authorization-server",
		answer(`{"issuer":"`+server.URL+`","token_endpoint":"`+server.URL+`/oauth2/token"}`))
	mux.Handle("/oauth2/token", answer(`{"access_token":"t","token_type":"Bearer","expires_in":60}`))
	mux.Handle("/v1/", v1)
	t.Setenv("SVCAUTH_URL", server.URL)
	t.Setenv("SVCAUTH_CLIENT_ID", "sa_01h455vb4pex5vsknk084sn02q")
	t.Setenv("SVCAUTH_CLIENT_SECRET", svcauth.NewSecret().Reveal())
}

// If an export breaks off, what was got is on stdout and the message says
// how to go on.
func TestExportThatBreaksOff(t *testing.T) {
	scripted(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("cursor") == "" {
			w.Header().Set("Content-Type", "application/json")
			_, _ = w.Write(
				[]byte(
					`{"items":[{"id":"evt_1","time":"2026-01-31T12:00:00Z","before":null,"after":{"a":"<&>"}}],"next_cursor":"c"}`))
			return
		}
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = w.Write([]byte(`{"title":"Internal error","detail":"Something broke.","request_id":"req_1"}`))
	})
	var out, err bytes.Buffer
	require.Equal(t, 1, run(t.Context(), []string{"audit", "export"}, strings.NewReader(""), &out, &err))
	require.Equal(t, 1, strings.Count(out.String(), "\n"))
	require.Contains(t, out.String(), `"after":{"a":"<&>"}`)
	require.Equal(t, "svcauth: the export broke off after 1 event; go on with --until "+
		"2026-01-31T12:00:00.000000001Z (events of that very moment come again): Something broke. (request req_1)\n",
		err.String())
}

// Every part of a problem that helps is said, once.
func TestProblemsAreSaidWhole(t *testing.T) {
	for _, c := range []struct {
		status     int
		body, want string
	}{
		{422,
			`{"title":"Invalid value","detail":"Two fields are wrong.","errors":[{"location":"body.name","message":"is too long"},{"location":"body.x","message":"Two fields are wrong."}]}`, "Two fields are wrong.; body.name: is too long\n"},
		{403, `{"title":"Missing privileges","detail":"You lack a:b.","missing_privileges":["a:b","c:d"]}`,
			"You lack a:b.; missing: c:d; 'svcauth me' shows what client sa_01h455vb4pex5vsknk084sn02q (from " +
				"environment SVCAUTH_CLIENT_ID) may do\n"},
		{412, `{"title":"Changed meanwhile","detail":"Somebody changed it."}`,
			"Somebody changed it.; run the command again\n"},
		{401, `{"title":"Not authenticated","detail":"Send a token."}`,
			"Send a token.; the token of client sa_01h455vb4pex5vsknk084sn02q (from " +
				"environment SVCAUTH_CLIENT_ID) was refused\n"},
	} {
		t.Run(strconv.Itoa(c.status), func(t *testing.T) {
			scripted(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/problem+json")
				w.WriteHeader(c.status)
				_, _ = w.Write([]byte(c.body))
			})
			var out, err bytes.Buffer
			require.Equal(t, 1, run(t.Context(), []string{"me"}, strings.NewReader(""), &out, &err))
			require.Equal(t, "svcauth: "+c.want, err.String())
			require.Empty(t, out.String())
		})
	}
}
