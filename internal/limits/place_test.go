package limits

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
)

type countedPlace int

func (p *countedPlace) Release()               { *p++ }
func (p *countedPlace) Await() bool            { return *p > 0 }
func (p *countedPlace) Caller() (string, bool) { return "somebody", false }

func TestPlaceIsGivenBackThroughTheContext(t *testing.T) {
	var p countedPlace
	Release(t.Context())
	assert.Zero(t, p)
	ctx, cancel := context.WithCancel(WithPlace(t.Context(), &p))
	cancel()
	Release(ctx)
	assert.EqualValues(t, 1, p)
	Release(WithPlace(ctx, nil))
	assert.EqualValues(t, 2, p)
}

func TestOnlyRequestsWaitInTurn(t *testing.T) {
	var p countedPlace
	assert.True(t, IsOwn(t.Context()))
	assert.True(t, Await(t.Context()), "the server's own has room")
	_, privileged := Caller(t.Context())
	assert.True(t, privileged)
	ctx := context.WithoutCancel(WithPlace(t.Context(), &p))
	assert.False(t, IsOwn(ctx))
	assert.False(t, Await(ctx))
	key, privileged := Caller(ctx)
	assert.Equal(t, "somebody", key)
	assert.False(t, privileged)
	assert.True(t, IsOwn(Own(ctx)))
	Release(Own(ctx))
	assert.Zero(t, p)
}
