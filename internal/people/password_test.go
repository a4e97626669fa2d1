package people_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/rules"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// NIST SP 800-63B-4 §3.1.1.2: length and a list of known passwords decide, no
// rules of composition.
func TestPasswordPolicy(t *testing.T) {
	list, err := people.ReadBlocklist(strings.NewReader("short\r\nMarmalade at the Zoo\r\nlong enough but listed\n"))
	require.NoError(t, err)
	require.Equal(t, []string{"Marmalade at the Zoo", "long enough but listed"}, list)
	f := rules.New(t, func(c *rules.Config) { c.People.Blocklist = list })
	invited, err := f.People.InviteMember(f.Admin(),
		svcauth.NewMember{Email: "annabel.lee@example.com", FirstName: "Annabel", LastName: "Lee"})
	require.NoError(t, err)
	token := rules.LinkToken(t, invited.InvitationURL)
	refused := func(passwords ...string) {
		t.Helper()
		for _, p := range passwords {
			_, err := f.People.AcceptInvitation(t.Context(), token, svcauth.Secret(p))
			require.Error(t, err, p)
			require.Equal(t, "body.password", rules.Problem(t, svcauth.CodeInvalid, err).Errors[0].Location, p)
			require.NotContains(t, err.Error(), p+"x")
		}
	}
	refused("x", "fourteen chars", strings.Repeat("long and winding ", 8), "not utf-8 \xff here")
	// on a list
	refused("marmalade at the zoo", "LONG ENOUGH BUT LISTED")
	// repeated
	refused("aaaaaaaaaaaaaaaa", "abcabcabcabcabcabc", "passwordpassword", "xk7xk7xk7xk7xk7xk", "horse horse horse ")
	// along the keyboard
	refused("qwertyuiopasdfghjkl", "123456789012345", "1q2w3e4r5t6y7u8i", "abcdefghijklmnop", "1qaz2wsx3edc4rfv",
		"qwertyuiop123456", "zyxwvutsrqponmlk", "QWERTYUIOP1234567890", "aaaaabbbbbccccc")
	// words and phrases that everybody takes
	refused("Password123456789", "P@ssw0rd!P@ssw0rd!1", "welcome2024welcome", "admin-password-2026",
		"Summer2026!Summer", "correct horse battery staple", "CorrectHorseBatteryStaple1!",
		"iloveyou1234567!", "letmeinletmein1", "thisismypassword", "May the Force be with you!")
	// its owner's name and address
	refused("annabel.lee@example.com", "annabel12345678"+"9", "Annabel-1987-05")
	for _, good := range []svcauth.Secret{"seven tall ships at noon", "zebra kettle violin", "kD8#vPq2!xLm9@Rt",
		"пятнадцать лун над морем", "my cat eats blue cheese"} {
		again, err := f.People.ResetMember(f.Admin(), invited.ID)
		require.NoError(t, err)
		_, err = f.People.AcceptInvitation(t.Context(), rules.LinkToken(t, again.InvitationURL), good)
		require.NoError(t, err, good.Reveal())
	}
}
