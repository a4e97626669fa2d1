package request

import (
	"time"

	"github.com/svcauth/svcauth/internal/limits"
)

// admission is a call that is counted within the bounds on its caller.
type admission struct {
	callers              *limits.Callers
	caller, organization string
	leave                func()
}

// Admit counts the request as a call of caller and of its organization, until
// [State.Leave]. If that would exceed their bounds, Admit counts nothing and
// returns how long the caller should wait. If callers is nil, nothing is
// bounded.
func (s *State) Admit(callers *limits.Callers, caller, organization string) (wait time.Duration) {
	if callers == nil {
		return 0
	}
	leave, wait := callers.Enter(caller, organization, time.Now())
	if wait == 0 {
		s.admission = &admission{callers, caller, organization, leave}
	}
	return wait
}

// Leave takes the request out of the bounds on its caller. It is called when
// the request ends, or when the request will only wait from here on. More calls
// of it do nothing.
func (s *State) Leave() {
	if s.admission != nil {
		s.admission.leave()
	}
}

// Withdraw undoes Admit: the call turned out not to be the caller's.
func (s *State) Withdraw() {
	if a := s.admission; a != nil {
		a.leave()
		a.callers.TakeBack(a.caller, a.organization, time.Now())
		s.admission = nil
	}
}

// CountRefusal counts the call as several, since a rule has refused it.
func (s *State) CountRefusal() {
	if a := s.admission; a != nil {
		a.callers.Refused(a.caller, a.organization, time.Now())
	}
}
