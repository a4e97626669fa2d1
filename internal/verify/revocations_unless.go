package verify

import "github.com/svcauth/svcauth/pkg/svcauth"

// unlessBound are the rules of one client, or of one role, that spare the
// tokens which are bound as has been demanded: one for each of demands. The one
// for [svcauth.TokenBindingAny] denies no more than the others, since all spare
// fewer.
type unlessBound [len(demands)]aged

var demands = [...]string{svcauth.TokenBindingAny, svcauth.TokenBindingDPoP, svcauth.TokenBindingMTLS}

// addUnless adds a rule that spares the tokens which are bound as spared says.
// It reports whether that denies something that was not denied before by these
// rules.
func addUnless(rules **unlessBound, spared string, entry aged) (changed bool) {
	if *rules == nil {
		*rules = new(unlessBound)
	}
	u, unbound := *rules, &(*rules)[0]
	if spared == demands[0] {
		if u[1].covers(entry.min, entry.exp) || u[2].covers(entry.min, entry.exp) {
			return false
		}
		changed = entry.min > unbound.min
		*unbound = unbound.join(entry)
		return changed
	}
	for i := range u {
		if demands[i] == spared {
			changed = entry.min > u[i].min
			u[i] = u[i].join(entry)
			if u[i].covers(unbound.min, unbound.exp) {
				*unbound = aged{}
			}
		}
	}
	return changed
}

// denies returns the first rule that denies a token with an epoch or a pol, and
// which tokens that rule spares.
func (u *unlessBound) denies(age int64, c *Claims) (spared string, by rule, ok bool) {
	for i := range u {
		if age < u[i].min && !svcauth.BoundAs(demands[i], c.BoundKey != "", c.BoundCertificate != "") {
			return demands[i], u[i].rule, true
		}
	}
	return "", rule{}, false
}

// drop forgets the rules for which covered returns true, and returns how many.
func (u *unlessBound) drop(covered func(aged) bool) (removed int) {
	if u == nil {
		return 0
	}
	for i := range u {
		if u[i].min > 0 && covered(u[i]) {
			u[i] = aged{}
			removed++
		}
	}
	return removed
}

func (u *unlessBound) len() (n int) {
	if u == nil {
		return 0
	}
	for i := range u {
		if u[i].min > 0 {
			n++
		}
	}
	return n
}
