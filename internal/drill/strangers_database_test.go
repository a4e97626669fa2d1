package drill_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/pgtest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// strangersAtOnce is how many connections the strangers have: more than the
// node has slots.
const strangersAtOnce = 2500

// freshID and freshToken stand in a request for what is made up anew each time
// that it is sent.
var (
	freshID = svcauth.PrefixServiceAccount + "_" + strings.Repeat("0",
		len(svcauth.NewID(svcauth.PrefixServiceAccount))-len(svcauth.PrefixServiceAccount)-1)
	freshToken = strings.Repeat("0", 43)
)

// posted is a form as a client sends it.
func posted(path, header string, form url.Values) string {
	body := form.Encode()
	return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: drill\r\n"+
		"%sContent-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n"+
		"%s", path, header, len(body), body)
}

// asClient is the form of a request of the OAuth2 endpoints.
func asClient(id, secret string, more ...string) url.Values {
	form := url.Values{"client_id": {id}, "client_secret": {secret}}
	for i := 0; i < len(more); i += 2 {
		form.Set(more[i], more[i+1])
	}
	return form
}

// beginMakeUp sends requests at the pace of the answers, each with ids and
// tokens that nobody has seen.
func beginMakeUp(j job) (func(order) result, func(), error) {
	return repeating(j, makeUpPause, func(request string) string {
		secret := (svcauth.NewSecret().Reveal() + freshToken)[:len(freshToken)]
		return strings.NewReplacer(freshID, svcauth.NewID(svcauth.PrefixServiceAccount), freshToken,
			secret).Replace(request)
	})
}

// timesQuietTroubled is the product's bound while the database is in trouble:
// thousands of refusals a second have to be written beside the right answers.
const timesQuietTroubled = 3.0

// makeUpPause is what a stranger waits between an answer and the next request:
// a few thousand requests a second are pressure enough.
const makeUpPause = time.Second

// troubled is a pressed node whose database is behind a network that can be
// troubled.
type troubled struct {
	*pressed
	network *network
	tenant  credential   // of somebody who has an account too
	unseen  []credential // clients that the node has not served yet
}

func newTroubled(t *testing.T, environ ...string) *troubled {
	t.Helper()
	server := pgtest.Start(t, pgtest.Config{})
	n := newNetwork(t, server.Addr())
	p := newPressed(t, 460, append(environ, "SVCAUTH_DATABASE_URL="+n.through(t, server.NewDatabase()))...)
	p.bound = timesQuietTroubled
	tenant := p.newAccount("somebody else's")
	return &troubled{p, n, credential{tenant.ClientID, tenant.ClientSecret.Reveal()},
		p.addClients(p.newAccount("not asked for yet"), 100)}
}

// strangers troubles the database and sends requests meanwhile. It ends when a
// client that the node has not seen yet is served again.
func (p *troubled) strangers(trouble func(), requests func() []string) press {
	return func() func() string {
		asked := requests()
		trouble()
		c := call(p.t, last, job{Kind: "makeup", Addr: p.node.addr, From: fromMany(), Count: strangersAtOnce,
			Requests: asked})
		return func() string {
			r := c.ask(order{})
			c.hangUp()
			p.network.heal()
			began := time.Now()
			for {
				status, err := p.unseenClient()
				if err == nil && status == http.StatusOK {
					break
				}
				require.Less(p.t, time.Since(began), withRedis+7*time.Second, "the node recovers by itself")
				time.Sleep(100 * time.Millisecond)
			}
			return fmt.Sprintf("%d answers in %v: %v; whole again after %v", r.Asked, r.Took.Round(time.Second/10),
				r.Statuses, time.Since(began).Round(time.Second/10))
		}
	}
}

// unseenClient has a client ask that the node has not served yet.
func (p *troubled) unseenClient() (int, error) {
	l, err := dial(job{Addr: p.node.addr, From: []string{"127.0.0.9"}}, 0)
	if err != nil {
		return 0, err
	}
	defer l.conn.Close()
	status, err := l.ask(tokenRequest(p.unseen[0]))
	if status == http.StatusOK {
		p.unseen = p.unseen[1:]
	}
	return status, err
}

// What strangers and tenants can send that needs the database.
func (p *troubled) unknownClients() []string {
	return []string{posted("/oauth2/token", "", asClient(freshID, freshToken, "grant_type", "client_credentials"))}
}

func (p *troubled) wrongSecrets() (all []string) {
	for _, c := range p.clients {
		all = append(all, posted("/oauth2/token", "", asClient(c.ID, freshToken, "grant_type", "client_credentials")))
	}
	return all
}

func (p *troubled) console() []string {
	return []string{
		get("/console", "Cookie: svcauth="+freshToken+"\r\n"),
		get("/v1/me", "Cookie: svcauth="+freshToken+"\r\n"),
		get("/console/invitation?token="+freshToken, ""),
	}
}

func (p *troubled) management() []string {
	return []string{managed("GET", "/v1/roles", p.bearer(p.tenant.ID, svcauth.Secret(p.tenant.Secret)), "")}
}

func (p *troubled) tokens() []string {
	c := p.tenant
	token := p.bearer(c.ID, svcauth.Secret(c.Secret))
	auth := "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte(freshID+":"+freshToken)) + "\r\n"
	return []string{
		posted("/oauth2/revoke", "", asClient(c.ID, c.Secret, "token", token)),
		posted("/oauth2/revoke", "", asClient(freshID, freshToken, "token", token)),
		posted("/oauth2/introspect", "", asClient(freshID, freshToken, "token", token)),
		posted("/oauth2/introspect", auth, url.Values{"token": {token}}),
	}
}

func (p *troubled) everything() []string {
	return append(append(append(append(p.unknownClients(), p.wrongSecrets()...), p.console()...), p.management()...),
		p.tokens()...)
}

// A database that hangs takes no token away from clients that the node knows,
// whatever strangers ask for meanwhile that needs it.
func TestStrangersWhileTheDatabaseHangs(t *testing.T) {
	needFull(t)
	p := newTroubled(t)
	p.measure("unknown clients", p.strangers(p.network.silence, p.unknownClients))
	p.measure("wrong secrets", p.strangers(p.network.silence, p.wrongSecrets))
	p.measure("made-up sessions and links", p.strangers(p.network.silence, p.console))
	p.measure("the management API", p.strangers(p.network.silence, p.management))
	p.measure("revocations and introspections", p.strangers(p.network.silence, p.tokens))
	p.measure("all of these", p.strangers(p.network.silence, p.everything))
}

// Nor does one that is slow.
func TestStrangersWhileTheDatabaseIsSlow(t *testing.T) {
	needFull(t)
	p := newTroubled(t)
	slow := func() { p.network.set(150*time.Millisecond, false, false) } // each way
	p.measure("all at once", p.strangers(slow, p.everything))
}
