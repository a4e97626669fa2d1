package main

import (
	"context"
	"encoding/json"
	"errors"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// TestMain puts this very program on the PATH of the transcripts as svcauth.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"svcauth": main})
}

// TestTranscripts runs testdata/*.txtar, each against a server of its own.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			server := svctest.New(t, svctest.Options{})
			testscript.Run(t, testscript.Params{Files: []string{file}, RequireExplicitExec: true, Cmds: words(server), Setup: func(env *testscript.Env) error {
				for name, value := range environment(server) {
					env.Setenv(name, value)
				}
				env.Setenv("HOME", env.WorkDir)
				return nil
			}})
		})
	}
}

// environment is what a management command finds in it: the administrator's application key.
func environment(s *svctest.Server) map[string]string {
	return map[string]string{"SVCAUTH_URL": s.Issuer, "SVCAUTH_CLIENT_ID": s.Tenant.ApplicationKey.ClientID, "SVCAUTH_CLIENT_SECRET": s.Tenant.ApplicationKey.ClientSecret.Reveal(),
		"ADMIN_EMAIL": s.Tenant.AdminEmail, "ADMIN_PASSWORD": s.Tenant.AdminPassword.Reveal(), "ORG_ID": s.Tenant.Organization.ID}
}

type word = func(ts *testscript.TestScript, neg bool, args []string)

// words are what the transcripts can say beside testscript's own.
func words(server *svctest.Server) map[string]word {
	return map[string]word{
		"status":   status,
		"narrow":   narrow,
		"nosecret": noSecret,
		"json":     jsonWord,
		"save":     save,
		"account":  accountWord(server),
		"as-api":   asAPI(server),
		"soon":     soon,
		"live":     live(server),
		"follow":   follow(server),
	}
}

// status: status N COMMAND… expects just that exit status, where ! exec is content with any but 0.
func status(ts *testscript.TestScript, _ bool, args []string) {
	want := args[0]
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if failed := (*exec.ExitError)(nil); errors.As(err, &failed) {
		got = strconv.Itoa(failed.ExitCode())
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("status is %s, expected %s", got, want)
	}
}

// narrow: no line of stdout is wider than a terminal.
func narrow(ts *testscript.TestScript, neg bool, _ []string) {
	text := ts.ReadFile("stdout")
	if text == "" {
		ts.Fatalf("stdout is empty")
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSuffix(line, "\n"); columns(line) > tableWidth != neg {
			ts.Fatalf("%d columns: %s", columns(line), line)
		}
	}
}

var secretForm = regexp.MustCompile(`svcs_[0-9A-Za-z]{10,}|eyJ[\w-]+\.eyJ`)

// noSecret: stderr shows no secret and no token; with arguments these streams or files too.
func noSecret(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range append(args, "stderr") {
		if found := secretForm.FindString(ts.ReadFile(name)); found != "" {
			ts.Fatalf("%s shows a secret: %.12s…", name, found)
		}
	}
}

// at finds a value in the JSON on stdout: at("items.0.name").
func at(ts *testscript.TestScript, path string) any {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &v))
	for _, step := range strings.Split(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			member, has := in[step]
			if !has {
				ts.Fatalf("%s: there is no %q", path, step)
			}
			v = member
		case []any:
			i, err := strconv.Atoi(step)
			if step == "length" {
				v = float64(len(in))
				continue
			}
			if err != nil || i >= len(in) {
				ts.Fatalf("%s: there is no element %s of %d", path, step, len(in))
			}
			v = in[i]
		default:
			ts.Fatalf("%s: %q is in nothing", path, step)
		}
	}
	return v
}

// jsonWord: json PATH VALUE; the value in stdout's JSON, as JSON or as the bare text of a string.
func jsonWord(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json path value")
	}
	v := at(ts, args[0])
	text, is := v.(string)
	if !is {
		raw, _ := json.Marshal(v)
		text = string(raw)
	}
	if (text == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], text)
	}
}

// save: save NAME PATH puts a value of stdout's JSON into the environment; save NAME alone takes all of stdout.
func save(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 1 {
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
		return
	}
	text, is := at(ts, args[1]).(string)
	if !is {
		ts.Fatalf("%s is no text", args[1])
	}
	ts.Setenv(args[0], text)
}

// accountWord: account NAME PRIVILEGE… makes a service account with a role of its own, and puts NAME_ID and NAME_SECRET into the environment.
func accountWord(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		made := server.Account(args[0], args[1:]...)
		ts.Setenv(args[0]+"_ID", made.ClientID)
		ts.Setenv(args[0]+"_SECRET", made.ClientSecret.Reveal())
	}
}

// asAPI: stdout is the JSON that GET path gives, but for what moves by itself.
func asAPI(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		key := server.Tenant.ApplicationKey
		answer := server.Get(args[0], server.Token(key.ClientID, key.ClientSecret, ""))
		if answer.Status != 200 {
			ts.Fatalf("GET %s: %d %s", args[0], answer.Status, answer.Text)
		}
		var want, got any
		ts.Check(json.Unmarshal([]byte(answer.Text), &want))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
		if w, g := canonical(want), canonical(got); w != g {
			ts.Fatalf("not what GET %s gives:\n%s\n%s", args[0], g, w)
		}
	}
}

func canonical(v any) string {
	raw, _ := json.Marshal(settled(v))
	return string(raw)
}

// settled takes out last_used_at, which the server writes some time after the use.
func settled(v any) any {
	switch in := v.(type) {
	case map[string]any:
		delete(in, "last_used_at")
		for name, member := range in {
			in[name] = settled(member)
		}
	case []any:
		for i, one := range in {
			in[i] = settled(one)
		}
	}
	return v
}

// live: live NAME FILE; the token in the file is live, by the word of introspection for its own client, whose NAME_ID and NAME_SECRET are in the environment.
func live(server *svctest.Server) word {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		is := server.Active(ts.Getenv(args[0]+"_ID"), svcauth.Secret(ts.Getenv(args[0]+"_SECRET")), strings.TrimSpace(ts.ReadFile(args[1])))
		if is == neg {
			ts.Fatalf("the token in %s: live is %t", args[1], is)
		}
	}
}

// soon: the time $1 from now into the environment as SOON, in the form of RFC 3339.
func soon(ts *testscript.TestScript, _ bool, args []string) {
	d, ok := duration(args[0])
	if !ok {
		ts.Fatalf("%s is no duration", args[0])
	}
	ts.Setenv("SOON", time.Now().Add(d).UTC().Format(time.RFC3339))
}

// follow: a resource server that follows the revocation feed, until the transcript ends.
func follow(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		account := server.Account("follower", svcauth.TokensIntrospect)
		tokens, err := tokensource.New(tokensource.Config{Issuer: server.Issuer, ClientID: account.ClientID, ClientSecret: account.ClientSecret})
		ts.Check(err)
		ts.Defer(func() { _ = tokens.Close() })
		verifier, err := resourceserver.New(resourceserver.Config{Issuer: server.Issuer, Audience: "https://api.cloud.example", Name: args[0], Feed: &resourceserver.Feed{
			Drop: tokens.Drop,
			Token: func(ctx context.Context) (string, error) {
				token, err := tokens.Token(ctx)
				if err != nil {
					return "", err
				}
				return token.AccessToken, nil
			}}})
		ts.Check(err)
		ts.Defer(func() { _ = verifier.Close() })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ts.Check(verifier.Ready(ctx))
	}
}
