package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestWhatWasNotCountedIsSaidNotToBe(t *testing.T) {
	say := func(e svcauth.Enforcement) (out, hints string) {
		var stdout, stderr bytes.Buffer
		s := &session{out: &stdout, err: &stderr}
		s.reportEnforcement(&e)
		return stdout.String(), stderr.String()
	}
	out, hints := say(svcauth.Enforcement{NotCounted: true, ElapsedMS: 3})
	require.Equal(t, "How many resource servers enforce it was not counted.\n", out)
	require.Contains(t, hints, "Not all that are connected were counted")
	out, hints = say(svcauth.Enforcement{Connected: 2, Enforced: 2, NotCounted: true, ElapsedMS: 3})
	require.Equal(t, "Enforced by 2 of 2 connected resource servers after 3 ms.\n", out)
	require.Contains(t, hints, "Not all that are connected were counted")
	_, hints = say(svcauth.Enforcement{Connected: 2, Enforced: 1, NotWaited: true})
	require.Contains(t, hints, "Nobody was waited for")
	require.Contains(t, hints, "1 not yet")
	_, hints = say(svcauth.Enforcement{Connected: 2, Enforced: 2, Partial: true})
	require.Contains(t, hints, "Only those of the server that answered were counted")
	_, hints = say(svcauth.Enforcement{Connected: 2, Enforced: 2})
	require.Empty(t, hints)
}
