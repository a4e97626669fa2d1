package limits

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"
)

type countedPlace int

func (p *countedPlace) GiveBack() { *p++ }

func TestPlaceIsGivenBackThroughTheContext(t *testing.T) {
	var p countedPlace
	GiveBack(t.Context())
	assert.Zero(t, p)
	ctx, cancel := context.WithCancel(WithPlace(t.Context(), &p))
	cancel()
	GiveBack(ctx)
	assert.EqualValues(t, 1, p)
	GiveBack(WithPlace(ctx, nil))
	assert.EqualValues(t, 2, p)
}
