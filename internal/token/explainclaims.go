package token

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ownClaims says, as the end of a sentence, which of an account's own claims a
// token has, and why it has not the others. It goes by what the token would be
// made from.
func (h *holder) ownClaims(d decision) string {
	var own, written map[string]json.RawMessage
	if d.none() || h.Claims == "" || json.Unmarshal([]byte(h.Claims), &own) != nil ||
		json.Unmarshal(d.claims(true), &written) != nil {
		return ""
	}
	var has, elsewhere, nowhere []string
	for _, name := range slices.Sorted(maps.Keys(own)) {
		switch _, ok := written[name]; {
		case ok:
			has = append(has, name)
		case h.catalog.lists(name):
			elsewhere = append(elsewhere, name)
		default:
			nowhere = append(nowhere, name)
		}
	}
	text := "; of the account's own claims it would have " + listed(has)
	if len(elsewhere) > 0 {
		text += "; not " + listed(elsewhere) + ", which not every API of the token lists"
	}
	if len(nowhere) > 0 {
		text += "; not " + listed(nowhere) + ", which no API of the catalogue lists (account_claims)"
	}
	return text
}

// lists reports whether some API takes a claim of accounts by this name.
func (c *catalogue) lists(claim string) bool {
	for _, p := range c.profiles {
		if slices.Contains(p.accountClaims, claim) {
			return true
		}
	}
	return false
}

// add adds to what a link says if nothing is wrong there.
func (c *chain) add(name, more string) {
	for i := range c.steps {
		if s := &c.steps[i]; s.Name == name && s.Outcome == svcauth.StepOK {
			s.Detail += more
		}
	}
}
