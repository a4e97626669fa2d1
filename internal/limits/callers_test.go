package limits

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCallersAreBoundEachAndByOrganization(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(CallersBound{PerSecond: 2, InWork: 100, Organization: 4})
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

// What others of its organization have used up takes nothing away from a caller
// that is refused for it: when they have stopped, it has all of its own.
func TestACallThatTheOrganizationRefusesCostsItsCallerNothing(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(CallersBound{PerSecond: 2, InWork: 4, Organization: 4})
	enter := func(caller string) bool {
		leave, wait := c.Enter(caller, "x", now)
		if wait == 0 {
			leave()
		}
		return wait == 0
	}
	for i := range 20 {
		for enter(fmt.Sprint("others ", i)) {
		}
	}
	for range 10 {
		require.False(t, enter("a"))
	}
	now = now.Add(time.Second / 2) // room for four of x
	for range 4 {
		require.True(t, enter("a"), "what was refused has used up nothing")
	}
	require.False(t, enter("a"))

	now = now.Add(time.Minute)
	var leaves []func()
	for i := range 4 {
		for range 4 {
			leave, wait := c.Enter(fmt.Sprint("others ", i), "x", now)
			require.Zero(t, wait)
			leaves = append(leaves, leave)
		}
	}
	now = now.Add(time.Minute)
	for range 10 {
		require.False(t, enter("a"), "they have all that the organization may have at once")
	}
	for _, leave := range leaves {
		leave()
	}
	for range 4 {
		require.True(t, enter("a"))
	}
}

func TestARefusedCallCountsAsSeveral(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(CallersBound{PerSecond: 20, InWork: 100, Organization: 4})
	refused := func(caller, organization string) (let int) {
		for {
			leave, wait := c.Enter(caller, organization, now)
			if wait > 0 {
				return let
			}
			c.Refused(caller, organization, now)
			leave()
			let++
		}
	}
	assert.Equal(t, 4, refused("a", "x"), "forty, saved up in two seconds")
	now = now.Add(10 * time.Second)
	assert.Equal(t, 4, refused("a", "x"), "the same after a rest")
	_, wait := c.Enter("a", "x", now)
	assert.Greater(t, wait, time.Duration(0))
	assert.LessOrEqual(t, wait, time.Second, "what is owed is bounded")
	assert.Equal(t, 4, refused("b", "x"), "another caller has its own")
	for i := range 10 {
		refused(fmt.Sprint("more ", i), "x")
	}
	assert.Zero(t, refused("late", "x"), "all of x together were refused enough")
	assert.Equal(t, 4, refused("c", "y"))
}

func TestAnswersAreHeldTheLongerTheMoreThereAre(t *testing.T) {
	c := NewCallers(CallersBound{PerSecond: 1, InWork: 1, Organization: 4})
	held := func(caller string, within time.Duration) bool {
		ctx, cancel := context.WithTimeout(t.Context(), within)
		defer cancel()
		c.Hold(ctx, caller)
		return ctx.Err() != nil
	}
	require.True(t, c.held.Take("crowd", 3*manyHeld, false))
	assert.True(t, held("crowd", 2*holdFor), "four seconds at least")
	require.False(t, held("alone", 20*holdFor))
}

func TestCallersHaveAShareInWork(t *testing.T) {
	now := time.Unix(0, 0)
	c := NewCallers(CallersBound{PerSecond: 1000, InWork: 3, Organization: 4})
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
