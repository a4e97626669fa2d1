package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
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
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			if name != "service-account" && name != "usage" { // each line is a process
				needs.Time(t)
			}
			t.Parallel()
			server := svctest.New(t, svctest.Options{Environ: []string{svctest.ClaimsCatalog(t)}})
			testscript.Run(t, testscript.Params{
				Files:               []string{file},
				RequireExplicitExec: true,
				Cmds:                words(server),
				Setup: func(env *testscript.Env) error {
					for name, value := range environment(server) {
						env.Setenv(name, value)
					}
					env.Setenv("HOME", env.WorkDir)
					return nil
				},
			})
		})
	}
}

// environment is what a management command finds in it: the administrator's
// application key.
func environment(s *svctest.Server) map[string]string {
	return map[string]string{
		"SVCAUTH_URL":           s.Issuer,
		"SVCAUTH_CLIENT_ID":     s.Tenant.ApplicationKey.ClientID,
		"SVCAUTH_CLIENT_SECRET": s.Tenant.ApplicationKey.ClientSecret.Reveal(),
		"ADMIN_EMAIL":           s.Tenant.AdminEmail,
		"ADMIN_PASSWORD":        s.Tenant.AdminPassword.Reveal(),
		"ORG_ID":                s.Tenant.Organization.ID,
	}
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
		"port":     port,
	}
}

// status: status N COMMAND… expects just that exit status, while ! exec is
// content with any but 0.
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

// narrow implements narrow [COMMAND…]: no line of stdout is wider than a
// terminal. The command, if one is given, runs on a terminal of that width.
func narrow(ts *testscript.TestScript, neg bool, command []string) {
	if len(command) > 0 {
		if _, err := exec.LookPath("script"); err != nil {
			return
		}
		ts.Check(ts.Exec("script", "-qec",
			fmt.Sprintf("stty cols %d && %s", tableWidth, strings.Join(command, " ")), "/dev/null"))
	}
	text := ts.ReadFile("stdout")
	if text == "" {
		ts.Fatalf("stdout is empty")
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimRight(line, "\r\n"); columns(line) > tableWidth != neg {
			ts.Fatalf("%d columns: %s", columns(line), line)
		}
	}
}

var secretForm = regexp.MustCompile(`svcs_[0-9A-Za-z]{10,}|eyJ[\w-]+\.eyJ`)

// noSecret: stderr shows no secret and no token; with arguments these streams
// or files too.
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

// jsonWord: json PATH VALUE; the value in stdout's JSON, as JSON or as the bare
// text of a string.
func jsonWord(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: json path value")
	}
	v := at(ts, args[0])
	text, ok := v.(string)
	if !ok {
		raw, _ := json.Marshal(v)
		text = string(raw)
	}
	if (text == args[1]) == neg {
		ts.Fatalf("%s is %s", args[0], text)
	}
}

// save implements the word save. save NAME PATH puts a value of stdout's JSON
// into the environment; save NAME alone takes all of stdout.
func save(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) == 1 {
		ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile("stdout")))
		return
	}
	text, ok := at(ts, args[1]).(string)
	if !ok {
		ts.Fatalf("%s is no text", args[1])
	}
	ts.Setenv(args[0], text)
}
