package clientauth

import (
	"context"
	"errors"
	"net/netip"
	"time"

	"github.com/maypok86/otter/v2"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
)

// Signatures has the signatures of assertions that cost much checked in turn.
// Anybody may send one of P-521, which costs twenty of P-256, and of strangers
// with many addresses no limit of wrong ones knows before. All of them together
// have one turn, and so has each organization for those of its clients that
// have proven themselves by such a signature from the same network before.
type Signatures struct {
	costly *limits.Costly
	proven *otter.Cache[provenFrom, string] // with their organization
}

// provenFrom is a client that has proven itself from a network.
type provenFrom struct {
	clientID string
	network  netip.Addr
}

// maxProven bounds how many of them are remembered. One who is forgotten waits
// with the strangers once.
const maxProven = 4096

// NewSignatures returns Signatures within costly.
func NewSignatures(costly *limits.Costly) *Signatures {
	return &Signatures{costly, otter.Must(&otter.Options[provenFrom, string]{MaximumSize: maxProven})}
}

// strangers is the turn of those who have not proven themselves, whether or not
// there is such a client.
const strangers = ""

// newWork returns what checking the assertion of a request may cost.
func (s *Signatures) newWork(r *Request) *federation.Work {
	return federation.NewWork(func(ctx context.Context, check func() bool) error {
		turn, proven := s.proven.GetIfPresent(r.from())
		if !proven {
			turn = strangers
		}
		return InTurn(ctx, s.costly, turn, check)
	})
}

// InTurn calls check, of a costly signature, when it is the turn of whose. Its
// error is fit for the caller.
func InTurn(ctx context.Context, costly *limits.Costly, whose string, check func() (right bool)) error {
	err := costly.Run(ctx, whose, check)
	if !errors.Is(err, limits.ErrCrowded) {
		return err
	}
	refusal := oautherr.New(oautherr.CodeUnavailable, "overload", "too many signatures that take long to check are "+
		"waiting; try again in a moment, or sign with a key on P-256")
	refusal.RetryAfter, refusal.Cause = time.Second, err
	return refusal
}

// remember notes that a client has proven itself, if that was costly.
func (s *Signatures) remember(r *Request, client *Client) {
	if r.work.Costly() {
		s.proven.Set(r.from(), client.OrgID)
	}
}

func (r *Request) from() provenFrom { return provenFrom{r.ClientID, limits.NetworkOf(r.IP)} }
