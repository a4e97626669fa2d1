package server_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/needs"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestABurstOfRevocationsIsConfirmedTogether has many tokens revoked at once,
// and counts the receipts.
func TestABurstOfRevocationsIsConfirmedTogether(t *testing.T) {
	needs.Time(t)
	const subscribers, accounts, each = 8, 20, 50
	s := svctest.New(t, svctest.Options{})
	api := s.Account("api", svcauth.TokensIntrospect)
	var verifiers []*resourceserver.Verifier
	for range subscribers {
		verifiers = append(verifiers, resourceServer(t, s, api, nil))
	}
	type own struct {
		account svcauth.ServiceAccount
		tokens  []string
	}
	var all []own
	for n := range accounts {
		account := s.Account(fmt.Sprint("ci ", n), "clusters:view")
		o := own{account: account}
		for range each {
			o.tokens = append(o.tokens, tokenOf(s, account))
		}
		all = append(all, o)
	}
	receipts := func() int { return strings.Count(s.Log(), `"route":"/oauth2/revocations/ack"`) }
	require.Eventually(t, func() bool { return receipts() >= subscribers }, patience, time.Millisecond)
	before, began := receipts(), time.Now()
	var group errgroup.Group
	for _, o := range all {
		group.Go(func() error {
			for _, token := range o.tokens {
				s.Post("/oauth2/revoke", o.account.ClientID, o.account.ClientSecret, url.Values{"token": {token}})
			}
			return nil
		})
	}
	require.NoError(t, group.Wait())
	require.Equal(t, subscribers, enforcement(t, s, all[0].account, "10s").Enforced)
	for _, v := range verifiers {
		for _, o := range all {
			_, err := v.Verify(t.Context(), o.tokens[each-1])
			require.ErrorIs(t, err, resourceserver.ErrRevoked)
		}
	}
	// Unasked, a subscriber sends one in some seconds, and one for who waits.
	most := subscribers * (2 + int(time.Since(began)/(3*time.Second)))
	require.LessOrEqual(t, receipts()-before, most, "%d revocations took %v", accounts*each, time.Since(began))
}
