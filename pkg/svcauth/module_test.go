package svcauth

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// A program that imports this package alone gains no package of another module:
// what it must download is what go.sum has the hash of a zip for.
func TestAnOutsideModuleGainsNothing(t *testing.T) {
	needs.Time(t)
	here, err := os.Getwd() // the package's own directory; runtime.Caller knows none where GOFLAGS has -trimpath
	require.NoError(t, err)
	root := filepath.Dir(filepath.Dir(here))
	require.FileExists(t, filepath.Join(root, "go.mod"))
	outside := t.TempDir()
	write := func(name, content string) {
		require.NoError(t, os.WriteFile(filepath.Join(outside, name), []byte(content), 0o600))
	}
	write("go.mod",
		fmt.Sprintf("module example.com/outside\n\ngo 1.26.0\n\nrequire github.com/svcauth/svcauth v0.0.0\n\n"+
			"replace github.com/svcauth/svcauth => %s\n", root))
	write("main.go", `package main

import "github.com/svcauth/svcauth/pkg/svcauth"

func main() {
	if _, err := svcauth.NewClient(svcauth.ClientConfig{URL: "https://auth.example.com"}); err != nil {
		panic(err)
	}
}
`)
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = outside
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GONOSUMDB=*", "GOSUMDB=off", "GOWORK=off",
			"CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return string(out)
	}
	run("build", "-o", os.DevNull, ".")

	if sums, err := os.ReadFile(filepath.Join(outside, "go.sum")); err == nil {
		require.NotRegexp(t, `(?m) v[^/ ]+ h1:`, string(sums))
	} else {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for _, path := range strings.Fields(run("list", "-deps", ".")) {
		first, _, _ := strings.Cut(path, "/")
		library := !strings.Contains(first, ".") // the standard one has no dot there
		require.True(t, library || path == "example.com/outside" ||
			strings.HasPrefix(path, "github.com/svcauth/svcauth/"), "%s comes along", path)
	}
}
