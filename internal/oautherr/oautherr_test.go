package oautherr

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/store"
)

// Errors are found also if somebody has wrapped them: the library would make a
// 500 of these.
func TestErrorsAreMapped(t *testing.T) {
	own := New(CodeInvalidTarget, "resource", "x")
	for _, c := range []struct {
		err  error
		code string
	}{{own, CodeInvalidTarget}, {fmt.Errorf("while: %w", own), CodeInvalidTarget},
		{errors.Join(errors.New("x"), own), CodeInvalidTarget},
		{fmt.Errorf("read: %w", store.ErrUnavailable), CodeUnavailable}, {context.Canceled, CodeUnavailable},
		{fmt.Errorf("%w", context.DeadlineExceeded), CodeUnavailable},
		{errors.New("boom"), CodeServerError}, {store.ErrConflict, CodeServerError}} {
		e := From(c.err)
		require.Equal(t, c.code, e.Code, c.err)
		require.NotContains(t, e.Description, "boom")
	}
	for code, status := range map[string]int{CodeInvalidRequest: 400, CodeInvalidClient: 401, CodeInvalidGrant: 400,
		CodeUnauthorizedClient: 400, CodeUnsupportedGrantType: 400,
		CodeInvalidScope: 400, CodeInvalidTarget: 400, CodeInvalidToken: 401, CodeInsufficientScope: 403,
		CodeSlowDown: 429, CodeUnavailable: 503, CodeServerError: 500} {
		require.Equal(t, status, New(code, "x", "x").Status, code)
	}
}

// A 401 always has a challenge (RFC 9110 §15.5.2), and what a caller sent can't
// leave its quotes.
func TestChallenges(t *testing.T) {
	require.Equal(t, `Basic realm="svcauth"`, New(CodeInvalidClient, "x", "x").Challenge)
	require.Equal(t, `Bearer realm="svcauth", error="invalid_token", error_description="a b"`,
		New(CodeInvalidToken, "x", "a b").Challenge)
	require.Equal(t, `Bearer realm="svcauth"`, BearerChallenge("", "", ""))
	require.Equal(t, `Bearer realm="svcauth", error="insufficient_scope", scope="a:b"`,
		BearerChallenge(CodeInsufficientScope, "", "a:b"))
	require.NotContains(t, BearerChallenge(CodeInvalidToken, `a", scope="b`, ""), `", scope="b`)
	require.Empty(t, New(CodeInvalidRequest, "x", "x").Challenge)
}
