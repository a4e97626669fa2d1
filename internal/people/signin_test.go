package people_test

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const wrongPassword = svcauth.Secret("not what was chosen")

func TestNobodyLearnsWhetherAnAddressExists(t *testing.T) {
	f := rules.New(t, nil)
	f.Join(f.Admin(), "ann@example.com")
	_, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "invited@example.com"})
	require.NoError(t, err)
	_, other := f.Tenants("other")
	f.Join(other, "ann@example.com")
	out := f.Join(f.Admin(), "out@example.com")
	yes := true
	_, err = f.People.UpdateMember(f.Admin(), out.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)

	var details []string
	var quickest, slowest time.Duration = time.Hour, 0
	for _, email := range []string{"ann@example.com", "nobody@example.com", "invited@example.com", "out@example.com",
		"no address", "", "x@" + string(make([]byte, 300))} {
		began := time.Now()
		_, err := f.SignIn(email, wrongPassword, rules.Home)
		took := time.Since(began)
		quickest, slowest = min(quickest, took), max(slowest, took)
		details = append(details, rules.Problem(t, svcauth.CodeUnauthenticated, err).Detail)
	}
	for _, d := range details {
		require.Equal(t, details[0], d)
	}
	require.GreaterOrEqual(t, quickest, 390*time.Millisecond,
		"a wrong answer waits for its moment, whatever the work was")
	_, err = f.SignIn("invited@example.com", "", rules.Home)
	require.Equal(t, details[0], rules.Problem(t, svcauth.CodeUnauthenticated, err).Detail,
		"no password is not an empty one")
}

func TestSignInChoosesOrganization(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	here := f.Join(f.Admin(), "ann@example.com")
	tenant, other := f.Tenants("other")
	there := f.Join(other, "ann@example.com")
	in, err := f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err)
	require.Empty(t, in.MemberID)
	require.Len(t, in.Choices, 2)
	for _, c := range in.Choices {
		require.Equal(t, map[string]svcauth.Ref{here.ID: {ID: f.OrgID(), Name: "default"},
			there.ID: {ID: tenant.Organization.ID, Name: "other"}}[c.MemberID], c.Organization)
	}
	in, err = f.People.SignIn(t.Context(), people.SignInRequest{Email: "ann@example.com", Password: rules.Password,
		OrganizationID: tenant.Organization.ID, IP: rules.Home})
	require.NoError(t, err)
	require.Equal(t, there.ID, in.MemberID)
	for _, org := range []string{"org_nothing", "", tenant.Organization.ID} {
		_, err = f.People.SignIn(t.Context(),
			people.SignInRequest{Email: "nobody@example.com", Password: rules.Password, OrganizationID: org,
				IP: rules.Home})
		rules.Problem(t, svcauth.CodeUnauthenticated, err)
	}
	yes := true
	_, err = f.People.UpdateMember(other, there.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	in, err = f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err)
	require.Equal(t, here.ID, in.MemberID, "where only one is active nothing is to be chosen")
}

func TestWrongPasswordsAreLimitedWithoutLockingTheOwnerOut(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "ann@example.com")
	attacker := netip.MustParseAddr("203.0.113.9")
	guess := func(email string, ip netip.Addr) string {
		_, err := f.SignIn(email, wrongPassword, ip)
		var p *svcauth.Problem
		require.ErrorAs(t, err, &p)
		return p.Code
	}
	for range 10 {
		require.Equal(t, svcauth.CodeUnauthenticated, guess("ann@example.com", attacker))
		require.Equal(t, svcauth.CodeUnauthenticated, guess("nobody@example.com", attacker))
	}
	require.Equal(t, svcauth.CodeTooMany, guess("ann@example.com", attacker))
	require.Equal(t, svcauth.CodeTooMany, guess("ANN@example.com", netip.MustParseAddr("::ffff:203.0.113.9")),
		"neither case nor another spelling of the address helps")
	require.Equal(t, svcauth.CodeTooMany, guess("nobody@example.com", attacker), "who does not exist is limited alike")
	_, err := f.SignIn("ann@example.com", rules.Password, attacker)
	require.Positive(t, rules.Problem(t, svcauth.CodeTooMany, err).RetryAfter, "guessing right is no use then")
	_, err = f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err, "the owner is not locked out")

	f.Clock.Advance(15 * time.Minute)
	_, err = f.SignIn("ann@example.com", rules.Password, attacker)
	require.NoError(t, err, "the limit passes")
}

// Many guesses at once are no more than many in turn: each counts before it is
// hashed.
func TestGuessesAtOnceAreCounted(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "ann@example.com")
	attacker := netip.MustParseAddr("203.0.113.9")
	var tried atomic.Int64
	var group sync.WaitGroup
	for range 120 {
		group.Go(func() {
			_, err := f.SignIn("ann@example.com", wrongPassword, attacker)
			var p *svcauth.Problem
			if errors.As(err, &p) && p.Code == svcauth.CodeUnauthenticated {
				tried.Add(1)
			}
		})
	}
	group.Wait()
	require.LessOrEqual(t, tried.Load(), int64(10))
	require.Positive(t, tried.Load())
	_, err := f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err, "the owner is not locked out")
}

// A guess counts though the process that should hash it hangs and is killed.
func TestGuessWhoseHashHangsIsCounted(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "ann@example.com")
	attacker := netip.MustParseAddr("203.0.113.9")
	for range 10 {
		f.People.HashBy([]string{"/bin/sleep", "1000"}, 10*time.Millisecond)
		_, err := f.SignIn("ann@example.com", wrongPassword, attacker)
		rules.Problem(t, svcauth.CodeUnauthenticated, err)
		require.NoError(t, f.People.Close())
	}
	_, err := f.SignIn("ann@example.com", rules.Password, attacker)
	rules.Problem(t, svcauth.CodeTooMany, err)
	f.People.HashBy([]string{"/bin/sleep", "1000"}, 10*time.Millisecond)
	_, err = f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err, "and a right password is right all the same")
}

// Unicode knows more letters that become a k or an i in lower case; as an
// address each is somebody else's.
func TestAddressesAreComparedByASCIICase(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "kim@example.com")
	_, err := f.SignIn("KIM@example.com", rules.Password, rules.Home)
	require.NoError(t, err)
	for _, other := range []string{"\u212aim@example.com", "k\u0130m@example.com"} {
		_, err := f.SignIn(other, rules.Password, rules.Home)
		rules.Problem(t, svcauth.CodeUnauthenticated, err)
		found, err := f.People.MemberByVerifiedEmail(t.Context(), other)
		require.NoError(t, err)
		require.Empty(t, found, other)
	}
}

func TestWrongPasswordsFromOneNetworkAndFromMany(t *testing.T) {
	needs.Time(t)
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "ann@example.com")
	limited := func(email string, ip netip.Addr) bool {
		_, err := f.SignIn(email, wrongPassword, ip)
		var p *svcauth.Problem
		require.ErrorAs(t, err, &p)
		return p.Code == svcauth.CodeTooMany
	}
	for i := range 100 { // one network tries many addresses
		require.False(t,
			limited(fmt.Sprintf("u%d@example.com", i), netip.MustParseAddr(fmt.Sprintf("2001:db8::%x", i+1))))
	}
	require.True(t, limited("fresh@example.com", netip.MustParseAddr("2001:db8::ffff")), "a /64 is one network")
	require.False(t, limited("fresh@example.com", netip.MustParseAddr("2001:db8:0:1::1")))

	for i := range 100 { // many networks try one address
		require.False(t, limited("ann@example.com", netip.AddrFrom4([4]byte{10, 0, 0, byte(i)})))
	}
	require.True(t, limited("ann@example.com", netip.AddrFrom4([4]byte{10, 0, 0, 1})),
		"a network that guessed wrong before gets no second guess")
	_, err := f.SignIn("ann@example.com", rules.Password, rules.Home)
	require.NoError(t, err, "a right password from a network that sent no wrong one is always served")
}

// TestProofEndsWithSessions: who has proved an address, by a password or
// through a provider, and has not chosen an organization yet, is out with
// whatever ends that member's sessions; the one in the other organization is
// not.
func TestProofEndsWithSessions(t *testing.T) {
	for name, end := range map[string]func(f *rules.Fixture, id string) error{
		"a reset": func(f *rules.Fixture, id string) error {
			_,
				err := f.People.ResetMember(f.Admin(), id)
			return err
		},
		"a new password": func(f *rules.Fixture, _ string) error {
			return f.People.ChangePassword(f.InConsoleOf(f.OrgID(), "ann@example.com"), rules.Password,
				"another harbour in the fog")
		},
		"a new password by a link": func(f *rules.Fixture, id string) error {
			m, err := f.People.ResetMember(f.Admin(), id)
			require.NoError(f.T, err)
			_, err = f.People.AcceptInvitation(f.T.Context(), rules.LinkToken(f.T, m.InvitationURL), rules.Password)
			return err
		},
		"signing out everywhere": func(f *rules.Fixture, _ string) error {
			return f.People.SignOutEverywhere(f.InConsoleOf(f.OrgID(), "ann@example.com"))
		},
		"a suspension that is over": (*rules.Fixture).SuspendAndRestore,
		"a removal": func(f *rules.Fixture,
			id string) error {
			return f.People.DeleteMember(f.Admin(), id)
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := rules.New(t, nil)
			f.People.AnswerAtOnce()
			here := f.Join(f.Admin(), "ann@example.com")
			_, other := f.Tenants("other")
			f.Join(other, "ann@example.com")
			byPassword, err := f.SignIn("ann@example.com", rules.Password, rules.Home)
			require.NoError(t, err)
			byProvider, err := f.People.MemberByVerifiedEmail(t.Context(), "ann@example.com")
			require.NoError(t, err)
			require.NoError(t, end(f, here.ID))
			for _, proved := range append(byPassword.Choices, byProvider...) {
				in, err := f.People.SignInVerified(t.Context(), "ann@example.com", proved, rules.Home)
				if proved.MemberID == here.ID {
					rules.Problem(t, svcauth.CodeUnauthenticated, err)
					continue
				}
				require.NoError(t, err)
				_, _, err = f.People.SessionActor(t.Context(), in)
				require.NoError(t, err)
			}
		})
	}
}

func TestSessionsEndAndPasswordsChange(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	f.Join(f.Admin(), "ann@example.com")
	session := func(password svcauth.Secret) (people.Identity, error) {
		in, err := f.SignIn("ann@example.com", password, rules.Home)
		require.NoError(t, err)
		_, _, err = f.People.SessionActor(t.Context(), in)
		return in, err
	}
	first, err := session(rules.Password)
	require.NoError(t, err)
	ann := f.InConsole("ann@example.com")
	require.NoError(t, f.People.SignOutEverywhere(ann))
	_, _, err = f.People.SessionActor(t.Context(), first)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	first.Epoch += 2
	_, _, err = f.People.SessionActor(t.Context(), first)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)

	second, err := session(rules.Password)
	require.NoError(t, err)
	rules.Problem(t, svcauth.CodeInvalid, f.People.ChangePassword(ann, wrongPassword, "another harbour in the fog"))
	rules.Problem(t, svcauth.CodeInvalid, f.People.ChangePassword(ann, rules.Password, "short"))
	require.NoError(t, f.People.ChangePassword(ann, rules.Password, "another harbour in the fog"))
	_, _, err = f.People.SessionActor(t.Context(), second)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = f.SignIn("ann@example.com", rules.Password, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	_, err = session("another harbour in the fog")
	require.NoError(t, err)

	// A thief of a session can't guess the password through it.
	for range 10 {
		_ = f.People.ChangePassword(ann, wrongPassword, rules.Password)
	}
	rules.Problem(t, svcauth.CodeTooMany, f.People.ChangePassword(ann, "another harbour in the fog", rules.Password))

	changed, err := f.People.UpdateProfile(ann, " Anna ", "Li")
	require.NoError(t, err)
	require.Equal(t, "Anna", changed.FirstName)
	machine := f.Machine(f.OrgID(), f.Account("robot"))
	_, err = f.People.UpdateProfile(machine, "R2", "D2")
	rules.Problem(t, svcauth.CodeForbidden, err)
	rules.Problem(t, svcauth.CodeForbidden, f.People.SignOutEverywhere(machine))
	require.Error(t, f.People.ChangePassword(machine, "", rules.Password))
}

func TestVerifiedEmailLetsInOnlyWhoWasInvited(t *testing.T) {
	f := rules.New(t, nil)
	invited, err := f.People.InviteMember(f.Admin(), svcauth.NewMember{Email: "ann@example.com"})
	require.NoError(t, err)
	bob := f.Join(f.Admin(), "bob@example.com")
	none, err := f.People.MemberByVerifiedEmail(t.Context(), "stranger@example.com")
	require.NoError(t, err)
	require.Empty(t, none)
	found, err := f.People.MemberByVerifiedEmail(t.Context(), "Ann@Example.com")
	require.NoError(t, err)
	require.Len(t, found, 1)
	require.Equal(t, "default", found[0].Organization.Name)
	mine := found[0]

	_, err = f.People.SignInVerified(t.Context(), "ann@example.com",
		people.Identity{MemberID: bob.ID, Epoch: found[0].Epoch}, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
	in, err := f.People.SignInVerified(t.Context(), "ann@example.com", mine, rules.Home)
	require.NoError(t, err)
	_, m, err := f.People.SessionActor(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, svcauth.MemberActive, m.Status)
	_, err = f.People.Invitation(t.Context(), rules.LinkToken(t, invited.InvitationURL))
	rules.Problem(t, svcauth.CodeNotFound, err)
	_, err = f.SignIn("ann@example.com", "", rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)

	yes := true
	_, err = f.People.UpdateMember(f.Admin(), invited.ID, 0, svcauth.MemberPatch{Suspended: &yes})
	require.NoError(t, err)
	found, err = f.People.MemberByVerifiedEmail(t.Context(), "ann@example.com")
	require.NoError(t, err)
	require.Empty(t, found)
	_, err = f.People.SignInVerified(t.Context(), "ann@example.com", mine, rules.Home)
	rules.Problem(t, svcauth.CodeUnauthenticated, err)
}

// Wrong passwords stand where the member is, whoever sent them, and tell
// nothing of addresses that nobody has.
func TestWrongPasswordsStandInTheMembersLogs(t *testing.T) {
	f := rules.New(t, nil)
	f.People.AnswerAtOnce()
	tenant, boss := f.Tenants("tenant")
	f.Join(f.Admin(), "ann@example.com")
	f.Join(boss, "ann@example.com")
	for range 5 {
		rules.Problem(t, svcauth.CodeUnauthenticated,
			rules.Last(f.SignIn("ann@example.com", "a wrong one", rules.Home)))
		rules.Problem(t, svcauth.CodeUnauthenticated,
			rules.Last(f.SignIn("nobody@example.com", "a wrong one", rules.Home)))
	}
	for _, org := range []string{f.OrgID(), tenant.Organization.ID} {
		var wrong []svcauth.AuditEvent
		for _, e := range f.Audited(org, "member.sign_in") {
			if e.Outcome == svcauth.OutcomeRefused {
				wrong = append(wrong, e)
			}
		}
		require.Len(t, wrong, 1)
		require.Equal(t, 5, wrong[0].Count)
		require.Equal(t, "ann@example.com", wrong[0].Target.Name)
		require.Equal(t, rules.Home.String(), wrong[0].IP)
		require.Empty(t, wrong[0].Actor.ID)
	}
}
