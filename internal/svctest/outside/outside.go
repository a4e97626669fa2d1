// Package outside builds a program of another module that imports one of the
// public packages, to see what comes along with it.
package outside

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

const module = "github.com/svcauth/svcauth"

// Gains builds a program that imports a package in pkg, and requires that it
// gains the named modules of others and nothing else: neither packages, nor
// what it must download, which is what go.sum has the hash of a zip for. The
// test must be one of a package in pkg.
func Gains(t *testing.T, program string, modules ...string) {
	t.Helper()
	needs.Time(t)
	here, err := os.Getwd() // the package's own directory; runtime.Caller knows none where GOFLAGS has -trimpath
	require.NoError(t, err)
	root := filepath.Dir(filepath.Dir(here))
	require.FileExists(t, filepath.Join(root, "go.mod"))
	dir := t.TempDir()
	for name, content := range map[string]string{
		"go.mod": fmt.Sprintf("module example.com/outside\n\ngo 1.26.0\n\nrequire %s v0.0.0\n\nreplace %s => %s\n",
			module, module, root),
		"main.go": program,
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600))
	}
	run := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), "go", args...)
		cmd.Dir = dir
		// What is needed lies in the module cache, since this test was built:
		// no network, and so no checksum database.
		cmd.Env = append(os.Environ(), "GOFLAGS=-mod=mod", "GOPROXY=off", "GONOSUMDB=*", "GOSUMDB=off", "GOWORK=off",
			"CGO_ENABLED=0")
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "go %s: %s", strings.Join(args, " "), out)
		return string(out)
	}
	run("build", "-o", os.DevNull, ".")
	require.ElementsMatch(t, modules, downloaded(t, filepath.Join(dir, "go.sum")))
	for _, path := range strings.Fields(run("list", "-deps", ".")) {
		first, _, _ := strings.Cut(path, "/")
		library := !strings.Contains(first, ".") // the standard one has no dot there
		require.True(t, library || slices.ContainsFunc(append(modules, "example.com/outside", module),
			func(of string) bool { return path == of || strings.HasPrefix(path, of+"/") }), "%s comes along", path)
	}
}

// downloaded lists the modules of which a go.sum has the hash of a zip. It may
// not exist.
func downloaded(t *testing.T, sumFile string) (modules []string) {
	t.Helper()
	sums, err := os.ReadFile(sumFile)
	if err != nil {
		require.ErrorIs(t, err, os.ErrNotExist)
	}
	for line := range strings.Lines(string(sums)) {
		fields := strings.Fields(line)
		require.Len(t, fields, 3)
		if !strings.HasSuffix(fields[1], "/go.mod") {
			modules = append(modules, fields[0])
		}
	}
	return modules
}
