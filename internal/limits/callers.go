package limits

import (
	"context"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// Callers bounds what is asked by those who have authenticated: how often, and
// how much at once, by one caller and by all of its organization. Whoever asks
// for more than that costs others little. It is safe for concurrent use.
type Callers struct {
	caller, organization bounds
	held                 *Shares[string]
}

// bounds is one of the two levels.
type bounds struct {
	rates  *Rates[string]
	inWork *Shares[string]
}

// CallersBound says what one caller may do, and how many callers at that bound
// their organization has room for.
type CallersBound struct {
	PerSecond    int
	InWork       int // at once; 0: no bound
	Organization int
}

const (
	burstSeconds      = 2      // how long after a rest a caller may save up for
	rememberedCallers = 10_000 // by rate
	// refusedCost is how many calls a refused one counts as: a program that
	// is refused gains nothing by asking often.
	refusedCost = 10
)

// heldAnswers bounds the answers that are held back, each about as dear as an
// idle connection.
var heldAnswers = Bound{Total: 4096, Each: 2048}

// How long answers are held: holdFor to twice that, and as much longer again
// for each manyHeld of the same caller that are held already. So a caller gets
// some 300 such answers a second at most, on any number of connections.
const (
	holdFor  = time.Second
	manyHeld = 500
)

// NewCallers returns Callers within bound.
func NewCallers(bound CallersBound) *Callers {
	level := func(factor int) bounds {
		each, perSecond := bound.InWork*factor, bound.PerSecond*factor
		return bounds{
			rates: NewRates[string](Rate{PerSecond: float64(perSecond), Burst: perSecond * burstSeconds},
				rememberedCallers),
			inWork: NewShares[string](Bound{Total: math.MaxInt, Each: each}),
		}
	}
	return &Callers{level(1), level(bound.Organization), NewShares[string](heldAnswers)}
}

// Enter counts a call that begins and returns leave, which its end must call;
// more calls of leave do nothing. If it is too many, for the caller or for its
// organization, it counts for neither, leave is nil and wait is how long the
// caller should wait.
func (c *Callers) Enter(caller, organization string, now time.Time) (leave func(), wait time.Duration) {
	if !c.caller.inWork.Take(caller, 1, false) {
		return nil, time.Second
	}
	if !c.organization.inWork.Take(organization, 1, false) {
		c.caller.inWork.Give(caller, 1)
		return nil, time.Second
	}
	leave = sync.OnceFunc(func() {
		c.caller.inWork.Give(caller, 1)
		c.organization.inWork.Give(organization, 1)
	})
	if wait = AllowBoth(c.caller.rates, caller, c.organization.rates, organization, now); wait > 0 {
		leave()
		return nil, wait
	}
	return leave, 0
}

// TakeBack takes back one that Enter counted, since it turned out that it was
// not the caller's.
func (c *Callers) TakeBack(caller, organization string, now time.Time) {
	c.caller.rates.TakeBack(caller, now)
	c.organization.rates.TakeBack(organization, now)
}

// Refused counts a call that Enter let begin and that a rule has refused
// (403) as refusedCost calls.
func (c *Callers) Refused(caller, organization string, now time.Time) {
	c.caller.rates.Charge(caller, refusedCost-1, now)
	c.organization.rates.Charge(organization, refusedCost-1, now)
}

// Hold keeps back the answer to a call that was too many, for a second or more:
// a program that tries again at once asks that seldom then, on each of its
// connections, and those who came together do not come back together. It
// returns false at once if too many answers are held: better end the
// connection.
func (c *Callers) Hold(ctx context.Context, caller string) bool {
	if !c.held.Take(caller, 1, false) {
		return false
	}
	defer c.held.Give(caller, 1)
	length := holdFor * time.Duration(1+c.held.Held(caller)/manyHeld)
	select {
	case <-ctx.Done():
	case <-time.After(length + rand.N(length)):
	}
	return true
}
