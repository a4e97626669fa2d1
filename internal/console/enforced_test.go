package console

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func TestAPageSaysNoMoreThanWasCounted(t *testing.T) {
	for want, e := range map[string]svcauth.Enforcement{
		"": {},
		" The resource server that is connected enforces it, after 7 ms.": {
			Connected: 1,
			Enforced:  1,
			ElapsedMS: 7,
		},
		" All 2 resource servers that are connected enforce it, after 7 ms.": {
			Connected: 2,
			Enforced:  2,
			ElapsedMS: 7,
		},
		" 1 of 2 connected resource servers enforce it so far; the page Resource servers shows which is behind.": {
			Connected: 2,
			Enforced:  1,
		},
		" How many resource servers enforce it was not counted.": {
			NotCounted: true,
		},
		" 2 of 2 connected resource servers enforce it so far; others are connected that were not counted.": {
			Connected:  2,
			Enforced:   2,
			NotCounted: true,
		},
		" 2 of 2 connected resource servers enforce it so far; those of other nodes could not be counted.": {
			Connected: 2,
			Enforced:  2,
			Partial:   true,
		},
		" 0 of 0 connected resource servers enforce it so far; those of other nodes could not be counted.": {
			Partial: true,
		},
	} {
		require.Equal(t, want, howFar(e))
	}
}
