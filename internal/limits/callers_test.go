package limits

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallersAreBoundEachAndByOrganization(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(2, 100)
	count := func(caller, organization string, most int) (let int) {
		for range most {
			leave, wait := c.Enter(caller, organization, now)
			if wait > 0 {
				require.Nil(t, leave)
				break
			}
			leave()
			let++
		}
		return let
	}
	assert.Equal(t, 4, count("a", "x", 1000), "two seconds' worth at once")
	assert.Equal(t, 4, count("b", "x", 1000), "another caller has its own")
	for i := range 10 {
		count(fmt.Sprint("more ", i), "x", 1000)
	}
	assert.Zero(t, count("late", "x", 1000), "all of x together have asked enough")
	assert.Equal(t, 4, count("c", "y", 1000), "another organization is not touched")
	now = now.Add(time.Second)
	assert.Equal(t, 2, count("a", "x", 1000), "a second's worth a second later")
}

func TestCallersHaveAShareInWork(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(1000, 3)
	var leaves []func()
	enter := func(caller string) bool {
		leave, wait := c.Enter(caller, "x", now)
		if wait == 0 {
			leaves = append(leaves, leave)
		}
		return wait == 0
	}
	for _, caller := range []string{"a", "b", "c", "d"} {
		for range 3 {
			require.True(t, enter(caller))
		}
		require.False(t, enter(caller), "it has its share")
	}
	require.False(t, enter("e"), "the organization has its share")
	leaves[0]()
	leaves[0]()
	require.True(t, enter("e"))
	require.False(t, enter("f"), "who leaves twice frees one place")
	for _, leave := range leaves {
		leave()
	}
	assert.Zero(t, c.caller.inWork.Used()+c.organization.inWork.Used())
}
