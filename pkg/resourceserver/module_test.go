// Not under the race detector: other programs do the work.

//go:build !race

package resourceserver

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

// A program that imports this package, and nothing else of this module, gains
// golang-jwt and nothing else: what it must download is what go.sum has the
// hash of a zip for.
func TestAnOutsideModuleGainsOnlyGolangJWT(t *testing.T) {
	needs.Time(t)
	here, err := os.Getwd() // the package's own directory
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

import (
	"net/http"

	"github.com/svcauth/svcauth/pkg/resourceserver"
)

func main() {
	verifier, err := resourceserver.New(resourceserver.Config{Issuer: "https://auth.example.com", Audience: "https://api.example.com"})
	if err != nil {
		panic(err)
	}
	http.Handle("/", verifier.Require("clusters:view")(http.NotFoundHandler()))
}
`)
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = outside
		// What is needed lies in the module cache, since this test was built:
		// no network, and so no checksum database.
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GONOSUMDB=*", "GOSUMDB=off", "GOWORK=off",
			"CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return string(out)
	}
	run("build", "-o", os.DevNull, ".")

	sums, err := os.ReadFile(filepath.Join(outside, "go.sum"))
	require.NoError(t, err)
	var downloaded []string
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		require.Len(t, fields, 3)
		if !strings.HasSuffix(fields[1], "/go.mod") {
			downloaded = append(downloaded, fields[0])
		}
	}
	require.Equal(t, []string{"github.com/golang-jwt/jwt/v5"}, downloaded)

	for _, path := range strings.Fields(run("list", "-deps", ".")) {
		first, _, _ := strings.Cut(path, "/")
		library := !strings.Contains(first, ".") // the standard one has no dot there
		require.True(t, library || path == "example.com/outside" || path == "github.com/golang-jwt/jwt/v5" ||
			strings.HasPrefix(path, "github.com/svcauth/svcauth/"), "%s comes along", path)
	}
}
