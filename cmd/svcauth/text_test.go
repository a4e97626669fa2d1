package main

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// What a terminal would obey, or what can't be seen.
const unseemly = "a\u009b31mb\u0085\u007f\u2028\u202e\u2066\u200b\u00ad\U000e0041\x1b[2J\r é日本🚀"

func requirePlain(t *testing.T, text string) {
	t.Helper()
	for _, r := range text {
		require.False(t, untrusted.Unsafe(r) && r != '\n' && r != '\t', "U+%04X in %q", r, text)
	}
}

// JSON means the same as before, however it is cut into pieces.
func TestJSONForATerminal(t *testing.T) {
	text := unseemly + "\\\""
	var whole bytes.Buffer
	require.NoError(t, writeJSON(&whole, map[string]string{"name": text}))
	for size := 1; size <= whole.Len(); size += max(1, size) {
		var out bytes.Buffer
		w := &plain{to: &out}
		for at := 0; at < whole.Len(); at += size {
			piece := whole.Bytes()[at:min(at+size, whole.Len())]
			n, err := w.Write(piece)
			require.NoError(t, err)
			require.Equal(t, len(piece), n)
		}
		requirePlain(t, out.String())
		require.Contains(t, out.String(), `\u009b31m`)
		require.Contains(t, out.String(), "é日本🚀")
		var back map[string]string
		require.NoError(t, json.Unmarshal(out.Bytes(), &back))
		require.Equal(t, text, back["name"])
	}
	require.Equal(t, "a?31mb??????? é", clean("a\u009b31mb\u0085\u007f\u2028\u202e\u2066\u200b\x1b é"))
}

// A server that answers so rewrites nobody's terminal: neither by what it lists
// nor by how it refuses, nor through arguments that somebody else chose.
func TestNoCommandPrintsWhatATerminalWouldObey(t *testing.T) {
	hostile, err := json.Marshal(unseemly)
	require.NoError(t, err)
	mux := http.NewServeMux()
	status := http.StatusOK
	mux.HandleFunc("/.well-known/oauth-authorization-server", func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(map[string]string{
			"issuer":         "http://" + r.Host,
			"token_endpoint": "http://" + r.Host + "/oauth2/token",
		})
	})
	mux.HandleFunc("/oauth2/token", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token":"x.y.z","token_type":"Bearer","expires_in":3600}`))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		if status != http.StatusOK {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			_, _ = w.Write(
				[]byte(`{"status":422,"code":"invalid","detail":` + string(hostile) + `,"errors":[{"location":` +
					string(hostile) + `,"message":` + string(hostile) + `}]}`))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(
			[]byte(`{"items":[{"id":"role_01h455vb4pex5vsknk084sn02q","name":` + string(hostile) + `,"description":` +
				string(hostile) + `}]}`))
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	t.Setenv("SVCAUTH_URL", server.URL)
	t.Setenv("SVCAUTH_CLIENT_ID", "ak_01h455vb4pex5vsknk084sn02q")
	t.Setenv("SVCAUTH_CLIENT_SECRET", "x")
	for _, status = range []int{200, 422} {
		for _, args := range [][]string{
			{"role", "list"},
			{"role", "list", "-o", "json"},
			{"role", "get", unseemly},
			{"role", "create", unseemly},
			{"token", "--resource", unseemly},
			{"role", "list", "--" + unseemly},
			{unseemly},
			{"role", "list", "--url", unseemly},
			{"role", "list", "--profile", unseemly},
			{"config", "check", "--config", unseemly},
		} {
			var out, err bytes.Buffer
			run(t.Context(), args, strings.NewReader(""), &out, &err)
			require.NotZero(t, out.Len()+err.Len(), "%q", args)
			requirePlain(t, out.String())
			requirePlain(t, err.String())
		}
	}
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} { // nothing of these scripts is touched
		var out, err bytes.Buffer
		require.Zero(t, run(t.Context(), []string{"completion", shell}, strings.NewReader(""), &out, &err))
		require.NotContains(t, out.String(), `\u00`)
	}
}
