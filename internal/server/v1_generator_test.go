package server_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// A generator of clients accepts the document, and a compiler accepts the
// generated code. A program may send what the API takes and read what it
// returns, and nothing else.
func TestGeneratorAcceptsTheDocument(t *testing.T) {
	t.Parallel()
	needs.Service(t, "Node.js and openapi-typescript")
	home := os.Getenv("SVCAUTH_OPENAPI_GENERATOR")
	if home == "" {
		home = filepath.Join("..", "..", ".cache", "openapi-generator")
	}
	modules, err := filepath.Abs(filepath.Join(home, "node_modules"))
	require.NoError(t, err)
	require.DirExists(t, modules,
		"run `make deps`, or set SVCAUTH_OPENAPI_GENERATOR to an installed copy of .ci/openapi-generator")
	s, dir := svctest.New(t, svctest.Options{}), t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	run := func(program string, args ...string) (string, error) {
		cmd := exec.CommandContext(t.Context(), "node",
			append([]string{filepath.Join(modules, filepath.FromSlash(program))}, args...)...)
		cmd.Dir = dir
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	generate := func() (string, error) {
		return run("openapi-typescript/bin/cli.js", "openapi.json", "--output", "svcauth.d.ts", "--alphabetize")
	}
	compile := func(file string) (string, error) {
		return run("typescript/bin/tsc", "--noEmit", "--strict", "--exactOptionalPropertyTypes", "--target", "es2022",
			"--module", "nodenext", "--moduleResolution", "nodenext", file)
	}
	sample, err := os.ReadFile("testdata/generated.ts")
	require.NoError(t, err)
	write("sample.ts", string(sample))

	document := s.Get("/openapi.json", "").Text
	write("openapi.json", document)
	out, err := generate()
	require.NoError(t, err, out)
	require.NotContains(t, out, "⚠", "the generator warns")
	out, err = compile("sample.ts")
	require.NoError(t, err, out)

	for name, text := range map[string]string{
		"a field that does not exist": `import type { components } from "./svcauth.d.ts"; export const role: components["schemas"]["NewRole"] = { name: "n", privilege: [] };`,
		"a field of another type":     `import type { components } from "./svcauth.d.ts"; export const role: components["schemas"]["NewRole"] = { name: 1 };`,
		"a path that does not exist":  `import type { paths } from "./svcauth.d.ts"; export type None = paths["/v1/role"];`,
	} {
		write("wrong.ts", text)
		out, err := compile("wrong.ts")
		require.Error(t, err, "%s: the check must be able to fail", name)
		require.Contains(t, out, "wrong.ts(1,", name)
	}
	write("openapi.json",
		`{"openapi":"3.1.0","paths":{"/x":{"get":{"responses":{"200":{"$ref":"#/components/responses/None"}}}}}}`)
	out, err = generate()
	require.Error(t, err, "the check must be able to fail: %s", out)
}
