// Package needs says which tests are for `make test` only, so that `go test
// ./...` between two edits needs nothing but Go and ends soon.
//
// It owns: the one question whether a test that needs more shall run. It
// refuses to know: what a test needs, and how that is started.
package needs

import "os"

// All reports whether everything shall be tested: SVCAUTH_TEST_SERVICES=1, or
// CI set to anything.
func All() bool { return os.Getenv("SVCAUTH_TEST_SERVICES") == "1" || os.Getenv("CI") != "" }

// tb is the part of testing.TB that is needed; a program that is no test can
// bring its own, without Skip.
type tb interface{ Helper() }

func skip(t tb, why string) {
	t.Helper()
	if skipper, can := t.(interface{ Skip(args ...any) }); can && !All() {
		skipper.Skip(why + ": run `make test`, or set SVCAUTH_TEST_SERVICES=1")
	}
}

// Service skips a test that needs what is named, such as "a real PostgreSQL",
// if not everything shall be tested. It may find nothing to skip: t is no
// test then.
func Service(t tb, what string) {
	t.Helper()
	skip(t, "needs "+what)
}

// Time skips a test that waits or works for long, if not everything shall be
// tested.
func Time(t tb) {
	t.Helper()
	skip(t, "takes long")
}
