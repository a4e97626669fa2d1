package server_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// TestWhoChecksBindingsIsSaid lists resource servers by what they tell of their
// version, at the node that they are connected to and at another: our own, and
// others that tell an old one, none, or something else by header or receipt.
func TestWhoChecksBindingsIsSaid(t *testing.T) {
	a := svctest.New(t, svctest.Options{Postgres: true, Redis: true})
	b := a.Node()
	api := a.Account("api", svcauth.TokensIntrospect)
	bearer := tokenOf(a, api)
	resourceServer(t, a, api, nil)
	poll := func(instance, version string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, a.URL+"/oauth2/revocations", nil)
		require.NoError(t, err)
		for name, value := range map[string]string{"Authorization": "Bearer " + bearer, "Accept": "application/json",
			"Svcauth-Interval": "1m", "Svcauth-Instance": instance, "Svcauth-Resource-Server": instance,
			"Svcauth-Version": version} {
			req.Header.Set(name, value)
		}
		require.Equal(t, http.StatusOK, a.Do(req).Status)
	}
	poll("old", "0.0.9")
	poll("silent", "")
	poll("odd", "<latest>é and a text that is longer than what is kept of it")
	poll("later", "12.3.4")
	poll("receipt", "")
	require.Equal(t, http.StatusNoContent,
		ack(t, a, bearer, `{"cursor":"0","name":"receipt","instance":"receipt","version":"0.1.0"}`).Status)
	poll("nameless", "0.1.0")
	require.Equal(t, http.StatusNoContent, ack(t, a, bearer, `{"cursor":"0","instance":"nameless"}`).Status)

	type said struct {
		version string
		checks  bool
	}
	want := map[string]said{
		audience: {wire.Version, true}, "old": {"0.0.9", false}, "silent": {"", false},
		"odd": {"<latest> and a text that is long", false}, "later": {"12.3.4", true},
		"receipt": {"0.1.0", true}, "nameless": {"0.1.0", true},
	}
	for _, node := range []*svctest.Server{a, b} {
		got := map[string]said{}
		require.Eventually(t, func() bool {
			list, err := node.Admin().ResourceServers(t.Context(), svcauth.ListOptions{})
			require.NoError(t, err)
			clear(got)
			for _, one := range list.Items {
				got[one.Name] = said{one.Version, one.ChecksBindings}
			}
			return len(got) == len(want)
		}, patience, 10*time.Millisecond)
		require.Equal(t, want, got)
	}
}
