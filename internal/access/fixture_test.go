package access_test

import (
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	view, edit, create = rules.View, rules.Edit, rules.Create
	goodPassword       = rules.Password
)

var home = rules.Home

// fixture is a [rules.Fixture] with what these tests add to it.
type fixture struct{ *rules.Fixture }

func newFixture(t *testing.T, change func(*rules.Config)) *fixture {
	t.Helper()
	return &fixture{rules.New(t, change)}
}

func problem(t *testing.T, code string, err error) *svcauth.Problem {
	t.Helper()
	return rules.Problem(t, code, err)
}

func last[T any](_ T, err error) error { return err }
