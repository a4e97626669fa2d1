package token

import (
	"encoding/base64"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Who asks for a token in many words takes no more room than who does in few.
func TestWhatIsAskedForTakesNoRoom(t *testing.T) {
	const maxEach = 1 << 10 // bytes of a key, with what the map has of it
	keys, before := map[reuseKey]bool{}, heap()
	client := &clientauth.Client{Credentials: &store.Credentials{ClientID: "sa_1"}}
	for n := range maxReusedEach {
		i := issuance{client: clientauth.Authentication{Client: client}}
		i.request.Scope = strings.Repeat("clusters:view ", 500) + strconv.Itoa(n)
		i.request.Resources = []string{"https://api.example.com/" + strings.Repeat("a", 7000)}
		keys[i.reuseKey()] = true
	}
	after := heap()
	require.Len(t, keys, maxReusedEach)
	require.Less(t, int64(after)-int64(before), int64(maxReusedEach*maxEach))
	runtime.KeepAlive(keys)
}

// A token that is kept keeps nothing of its client that nobody else does: whoever
// has a client change again and again takes no more room than the tokens do.
func TestAKeptTokenKeepsNoClient(t *testing.T) {
	const (
		issuer, tokens = "https://issuer.example", 512
		maxEach        = 8 << 10 // bytes
	)
	var privileges []svcauth.Privilege
	role := store.HeldRole{ID: "role_1", Name: "All", Kind: store.RoleCustom}
	for n := range svcauth.MaxPrivilegesPerRole {
		name := fmt.Sprintf("clusters:privilege-%03d", n)
		privileges = append(privileges, svcauth.Privilege{Name: name, API: "https://api.example.com"})
		role.Privileges = append(role.Privileges, name)
	}
	cat, now := newCatalogue(nil, privileges, issuer, "ES256"), time.Now()
	u := newReuse(&Config{Reuse: time.Minute, Clock: func() time.Time { return now }})
	before := heap()
	for n := range tokens {
		row := &store.Credentials{ClientID: "sa_1", OrgID: "org_1"}
		claims := fmt.Sprintf(`{"iss":"i","sub":"s","client_id":"sa_1","aud":"a","iat":%d,"exp":%d,"jti":"%d"}`,
			now.Unix(), now.Unix()+3600, n)
		i := issuance{
			client:  clientauth.Authentication{Client: &clientauth.Client{Credentials: row}},
			holder:  newHolder(row, []store.HeldRole{role}, cat, issuer, now),
			request: Request{GrantType: grantClientCredentials, Scope: strconv.Itoa(n)},
		}
		i.client.Kind, i.client.CredentialID = store.CredentialSecret, "sec_1"
		i.decision.sharedDecision = &sharedDecision{profile: usualProfile}
		i.response.AccessToken = strings.Join([]string{
			base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256","typ":"at+jwt","kid":"k"}`)),
			base64.RawURLEncoding.EncodeToString([]byte(claims)), "AAAA",
		}, ".")
		u.keep(&i)
	}
	after := heap()
	require.Len(t, u.tokens, tokens)
	require.Less(t, int64(after)-int64(before), int64(tokens*maxEach))
	runtime.KeepAlive(u)
}

func heap() uint64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.HeapAlloc
}
