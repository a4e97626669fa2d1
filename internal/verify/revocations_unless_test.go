package verify

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// deniesByTheList says what [svcauth.Revocation] says of a token and a list of
// entries, one after another.
func deniesByTheList(entries []svcauth.Revocation, c *Claims) bool {
	return slices.ContainsFunc(entries, func(r svcauth.Revocation) bool {
		switch r.UnlessBound {
		case "any", "dpop", "mtls":
			key, certificate := c.BoundKey != "", c.BoundCertificate != ""
			if key && r.UnlessBound != "mtls" || certificate && r.UnlessBound != "dpop" {
				return false
			}
		}
		switch {
		case r.JTI != "":
			return r.JTI == c.JTI
		case r.Cred != "":
			return r.Cred == c.Cred
		case r.Role != "" && !slices.Contains(c.Roles, r.Role):
			return false
		case r.Privilege != "" && !c.Has(r.Privilege):
			return false
		case r.ClientID != "":
			return r.ClientID == c.ClientID && c.Epoch < r.MinEpoch
		}
		return r.OrgID == c.OrgID && c.Policy < r.MinPol
	})
}

// moment is which epochs and policy epochs there are at once: a node reads both
// by one statement.
type moment struct{ epochs, pols map[string]int64 }

// world writes entries and issues tokens as a server does, some of the tokens
// at a node that has not heard of the latest entries.
type world struct {
	*rand.Rand
	moment  // now
	past    []moment
	entries []svcauth.Revocation
	tokens  []*Claims
	ended   map[string]bool
	spared  bool // an entry may spare tokens that are bound
}

const clientsOfWorld, orgsOfWorld = 4, 2

func (w *world) one(of ...string) string { return of[w.IntN(len(of))] }

func (w *world) client() (id, org string) {
	n := w.IntN(clientsOfWorld)
	return fmt.Sprint("sa_", n), fmt.Sprint("org_", n%orgsOfWorld)
}

func (w *world) issue() {
	id, org := w.client()
	known := w.moment
	if late := w.IntN(4); late > 0 && late <= len(w.past) {
		known = w.past[len(w.past)-late] // the node has not heard of the changes since
	}
	c := &Claims{
		JTI: fmt.Sprint("jti", len(w.tokens)), ClientID: id, OrgID: org, Cred: fmt.Sprint(id, " secret ", w.IntN(50)),
		Epoch: known.epochs[id], Policy: known.pols[org],
		Scope: strings.Join([]string{"p:q", "p:r"}[:w.IntN(3)], " "),
		Roles: []string{"R", "S"}[:w.IntN(3)],
	}
	if c.BoundKey = w.one("", "", "key"); w.IntN(3) == 0 {
		c.BoundCertificate = "certificate"
	}
	if !w.ended[c.Cred] {
		w.tokens = append(w.tokens, c)
	}
}

func (w *world) revoke() {
	w.past = append(w.past, w.moment)
	w.moment = moment{maps.Clone(w.epochs), maps.Clone(w.pols)}
	id, org := w.client()
	r := svcauth.Revocation{Exp: far}
	unless := ""
	if w.spared {
		unless = w.one("any", "dpop", "mtls", "", "one of a later release")
	}
	switch kind := w.IntN(7); kind {
	case 0:
		if len(w.tokens) == 0 {
			return
		}
		c := w.tokens[w.IntN(len(w.tokens))]
		r.JTI, r.ClientID, r.OrgID, r.Epoch, r.Pol = c.JTI, c.ClientID, c.OrgID, c.Epoch, c.Policy
	case 1:
		r.Cred, r.ClientID, r.OrgID, r.Epoch, r.Pol = fmt.Sprint(id, " secret ", w.IntN(50)), id, org, w.epochs[id],
			w.pols[org]
		w.ended[r.Cred] = true
	case 2, 3:
		w.epochs[id]++
		r.ClientID, r.OrgID, r.MinEpoch, r.Epoch, r.Pol = id, org, w.epochs[id], w.epochs[id], w.pols[org]
		if kind == 2 {
			r.Role = w.one("R", "S")
		} else {
			r.UnlessBound = unless
		}
	case 4, 5:
		w.pols[org]++
		r.OrgID, r.Role, r.MinPol = org, w.one("R", "S"), w.pols[org]
		if kind == 4 {
			r.Privilege = w.one("p:q", "p:r")
		} else {
			r.UnlessBound = unless
		}
	case 6:
		if w.IntN(10) > 0 {
			return
		}
		w.pols[org]++
		r.OrgID, r.MinPol = org, w.pols[org]
	}
	w.entries = append(w.entries, r)
}

// A set answers as the list of entries does, whatever their order, and so does
// a set into which only those are read that it holds on to.
func TestASetAnswersAsTheListOfEntries(t *testing.T) {
	dead, sparedOnes := 0, 0
	for seed := range uint64(400) {
		w := &world{
			Rand: rand.New(rand.NewPCG(seed, 1)), moment: moment{map[string]int64{}, map[string]int64{}},
			ended: map[string]bool{}, spared: seed%4 > 0,
		}
		for range 120 {
			if w.issue(); w.IntN(3) == 0 {
				w.revoke()
			}
		}
		inOrder, shuffled, replaced := NewRevocationSet(), NewRevocationSet(), NewRevocationSet()
		inOrder.Add(w.entries...)
		mixed := slices.Clone(w.entries)
		w.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		for _, one := range mixed {
			before := shuffled.generation.Load()
			shuffled.Add(one)
			shuffled.Add(one)
			require.LessOrEqual(t, shuffled.generation.Load(), before+1, "nothing new the second time")
		}
		require.NoError(t, replaced.ReplaceFrom(func(add func(...svcauth.Revocation)) error {
			add(mixed...)
			return nil
		}))
		for _, c := range w.tokens {
			want := deniesByTheList(w.entries, c)
			sets := map[string]*RevocationSet{"in order": inOrder, "mixed": shuffled, "replaced": replaced}
			for name, s := range sets {
				entry, got := s.Revoked(c)
				require.Equal(t, want, got, "%s: %+v, %+v by %+v", name, c, entry, w.entries)
				if got {
					require.True(t, deniesByTheList([]svcauth.Revocation{entry}, c), "%+v does not deny %+v", entry, c)
				}
			}
			if want {
				dead++
			} else if c.Bound() {
				bearer := *c
				bearer.BoundKey, bearer.BoundCertificate = "", ""
				if deniesByTheList(w.entries, &bearer) {
					sparedOnes++
				}
			}
		}
		require.LessOrEqual(t, inOrder.Len(), len(w.entries))
	}
	t.Logf("%d tokens denied, %d spared", dead, sparedOnes)
	require.Positive(t, dead)
	require.Positive(t, sparedOnes)
}

// A rule that spares none makes those superfluous that spare some; of these,
// one that spares by less makes any superfluous. None of them hides a stronger
// one, however much younger it is.
func TestRulesThatSpareTokensAreForgottenAsTheyAreCovered(t *testing.T) {
	of := map[string]func(unless string, least int64) svcauth.Revocation{
		"a client's": func(unless string, least int64) svcauth.Revocation {
			return svcauth.Revocation{
				ClientID: "sa_1", OrgID: "org_1", MinEpoch: least, Epoch: least, UnlessBound: unless, Exp: far,
			}
		},
		"a role's": func(unless string, least int64) svcauth.Revocation {
			return svcauth.Revocation{OrgID: "org_1", Role: "R", MinPol: least, UnlessBound: unless, Exp: far}
		},
	}
	type rule struct {
		unless string
		least  int64
	}
	for whose, entry := range of {
		for _, c := range []struct {
			rules []rule
			left  int
		}{
			{[]rule{{"", 5}, {"any", 5}, {"dpop", 4}, {"mtls", 3}}, 1},
			{[]rule{{"", 5}, {"any", 6}}, 2},
			{[]rule{{"", 5}, {"dpop", 6}, {"mtls", 7}, {"any", 8}}, 4},
			{[]rule{{"dpop", 6}, {"any", 6}}, 1},
			{[]rule{{"mtls", 6}, {"any", 5}}, 1},
			{[]rule{{"dpop", 6}, {"mtls", 6}}, 2},
			{[]rule{{"dpop", 6}, {"any", 7}}, 2},
			{[]rule{{"dpop", 6}, {"dpop", 7}}, 1},
			{[]rule{{"any", 6}, {"any", 7}}, 1},
			{[]rule{{"", 5}, {"of a later release", 6}}, 1},
		} {
			for _, backwards := range []bool{false, true} {
				rules := slices.Clone(c.rules)
				if backwards {
					slices.Reverse(rules)
				}
				s := NewRevocationSet()
				for _, r := range rules {
					s.Add(entry(r.unless, r.least))
				}
				require.Equal(t, c.left, s.Len(), "%s: %v", whose, rules)
				for _, r := range rules {
					bearer := &Claims{ClientID: "sa_1", OrgID: "org_1", Roles: []string{"R"}, Epoch: r.least - 1,
						Policy: r.least - 1}
					_, revoked := s.Revoked(bearer)
					require.True(t, revoked, "%s: %v, by %v", whose, rules, r)
				}
			}
		}
		s := NewRevocationSet()
		kept := []svcauth.Revocation{entry("any", 5), entry("dpop", 4), entry("mtls", 3)}
		for i := range kept {
			kept[i].Exp = int64(1000 * (3 - i))
		}
		s.Add(kept...)
		require.Equal(t, 3, s.Len())
		table := s.table.Load()
		for i, left := range []int{2, 1, 0} {
			for shard := range revocationShards {
				table.expire(shard, int64(1000*(i+1)+1))
			}
			require.Equal(t, left, s.Len(), "%s, the %d. has expired", whose, i+1)
		}
		require.Zero(t, table.clients.Load()+table.orgs.Load())
	}
}

// An organization's rule for all of its tokens makes those of its clients
// superfluous that are not younger, these too.
func TestAnOrganizationsRuleCoversThoseThatSpareTokens(t *testing.T) {
	s := NewRevocationSet()
	clients := svcauth.Revocation{
		ClientID: "sa_1", OrgID: "org_1", MinEpoch: 3, Epoch: 3, Pol: 6, UnlessBound: "dpop", Exp: far,
	}
	s.Add(clients, svcauth.Revocation{OrgID: "org_1", Role: "R", MinPol: 7, UnlessBound: "any", Exp: far})
	require.Equal(t, 2, s.Len())
	s.Add(svcauth.Revocation{OrgID: "org_1", MinPol: 7, Exp: far})
	require.Equal(t, 1, s.Len())
	generation := s.generation.Load()
	clients.UnlessBound = "mtls"
	s.Add(clients, svcauth.Revocation{OrgID: "org_1", Role: "R", MinPol: 6, UnlessBound: "any", Exp: far})
	require.Equal(t, generation, s.generation.Load())
	require.Equal(t, 1, s.Len())
}
