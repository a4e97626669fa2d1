package verify

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// documented reports whether an entry is of one of the kinds that
// [svcauth.Revocation] lists. Of another one, a set may deny more.
func documented(r svcauth.Revocation) bool {
	has := func(of ...bool) (set int) {
		for _, one := range of {
			if one {
				set = set<<1 | 1
			} else {
				set <<= 1
			}
		}
		return set
	}
	switch has(r.JTI != "", r.Cred != "", r.Role != "", r.Privilege != "", r.MinEpoch > 0, r.MinPol > 0) {
	case 0b100000, 0b010000:
		return r.UnlessBound == ""
	case 0b000010: // a client's tokens
		return r.ClientID != ""
	case 0b001010: // of these, with a role
		return r.ClientID != "" && r.UnlessBound == ""
	case 0b001001: // an organization's tokens with a role
		return r.ClientID == "" && r.OrgID != ""
	case 0b000001, 0b001101: // all of them, and with a role and a privilege
		return r.ClientID == "" && r.OrgID != "" && r.UnlessBound == ""
	}
	return false
}

// homeOf is the organization that an id is in: each client is in one.
func homeOf(id string) string { return fmt.Sprint("org_", len(id)%2) }

// tellsTruth reports whether what an entry says beside what it denies holds for
// a token that it denies. A server's do, and only these hold what they say.
func tellsTruth(r svcauth.Revocation, c *Claims) bool {
	if r.ClientID == "" {
		return true
	}
	oldEnough := r.MinEpoch > 0 || c.Epoch <= r.Epoch
	return r.ClientID == c.ClientID && oldEnough && (r.OrgID == "" || c.Policy <= r.Pol)
}

// edges returns the ages around the least that an entry lets pass, and the
// highest that it says it denies.
func edges(least, highest int64) []int64 {
	ages := []int64{max(least-1, 0), max(least, 0), max(highest, 0)}
	slices.Sort(ages)
	return slices.Compact(ages)
}

// tokensOf returns tokens at the edge of what an entry denies, bound in each
// way.
func tokensOf(r svcauth.Revocation) (tokens []*Claims) {
	clients := []string{r.ClientID}
	if r.ClientID == "" {
		clients = []string{"a", "bb"}
	}
	for _, client := range clients {
		for _, epoch := range edges(r.MinEpoch, r.Epoch) {
			for _, pol := range edges(r.MinPol, r.Pol) {
				for bound := range 4 {
					c := &Claims{
						JTI: r.JTI, ClientID: client, OrgID: homeOf(client), Cred: r.Cred, Scope: r.Privilege,
						Roles: []string{r.Role}, Epoch: epoch, Policy: pol,
					}
					if bound&1 > 0 {
						c.BoundKey = "key"
					}
					if bound&2 > 0 {
						c.BoundCertificate = "certificate"
					}
					tokens = append(tokens, c)
				}
			}
		}
	}
	return tokens
}

// Whatever entries are read, and in whichever order, a set denies what one of
// them denies, and nothing else. Entries of other kinds take nothing of that
// away, and reading an entry that was written again changes nothing.
func FuzzRevocations(f *testing.F) {
	for seed := range uint64(20) {
		w := &world{
			Rand: rand.New(rand.NewPCG(seed, 2)), moment: moment{map[string]int64{}, map[string]int64{}},
			ended: map[string]bool{}, spared: true,
		}
		for range 15 {
			w.issue()
			w.revoke()
		}
		text, err := json.Marshal(w.entries)
		require.NoError(f, err)
		f.Add(text)
	}
	f.Add([]byte(`[{"client_id":"a","min_epoch":3,"unless_bound":"dpop"},{"client_id":"a","min_epoch":4,"unless_bound":` +
		`"any"},{"client_id":"a","min_epoch":5,"unless_bound":"none"},{"org_id":"o","role":"R","min_pol":2,` +
		`"unless_bound":"mtls"},{"jti":"j","unless_bound":"any"},{"client_id":"a","role":"R","min_epoch":9,` +
		`"unless_bound":"any"},{"org_id":"o","min_pol":1,"unless_bound":"any"}]`))
	f.Fuzz(func(t *testing.T, page []byte) {
		var all, known []svcauth.Revocation
		if json.Unmarshal(page, &all) != nil || len(all) > 20 {
			return
		}
		for i := range all {
			r := &all[i]
			if r.Exp = far; r.OrgID != "" {
				r.OrgID = homeOf(cmp.Or(r.ClientID, r.OrgID))
			}
			if documented(*r) {
				known = append(known, *r)
			}
		}
		written, err := json.Marshal(known)
		require.NoError(t, err)
		var again []svcauth.Revocation
		require.NoError(t, json.Unmarshal(written, &again))
		backwards := slices.Clone(known)
		slices.Reverse(backwards)
		one, other, replaced, mixed := NewRevocationSet(), NewRevocationSet(), NewRevocationSet(), NewRevocationSet()
		one.Add(known...)
		other.Add(backwards...)
		require.NoError(t, replaced.ReplaceFrom(func(add func(...svcauth.Revocation)) error {
			add(again...)
			return nil
		}))
		mixed.Add(all...)
		for _, r := range all {
			for _, c := range tokensOf(r) {
				must, may := false, false
				for i, r := range known {
					if deniesByTheList(known[i:i+1], c) {
						must, may = must || tellsTruth(r, c), true
					}
				}
				for name, set := range map[string]*RevocationSet{"": one, "backwards": other, "replaced": replaced} {
					entry, denied := set.Revoked(c)
					require.True(t, denied || !must, "%s: %+v is not denied by %+v", name, c, known)
					require.True(t, may || !denied, "%s: %+v is denied by %+v", name, c, entry)
				}
				if must {
					_, denied := mixed.Revoked(c)
					require.True(t, denied, "%+v is not denied by %+v", c, all)
				}
			}
		}
	})
}
