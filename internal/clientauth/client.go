package clientauth

import (
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Client is a snapshot of a client: what proving who it is requires, read at
// one moment. It never changes, except that [Client.Keep] may add to it, and
// for when the use of its credentials was noted.
//
// A snapshot that is outdated without our knowing does no harm: it has an old
// epoch, and the tokens that are minted from it are born revoked.
type Client struct {
	*store.Credentials

	Known bool // false: there is no such client

	keys     []clientKey    // of Credentials.Keys, parsed
	keySets  []clientKeySet // of Credentials.Keys, those that it publishes
	policies []clientPolicy // of Credentials.Federated, parsed

	noted []atomic.Int64  // for each of Credentials.Used, what this node knows of by now
	first [1]atomic.Int64 // noted of a client with one credential

	read      time.Time
	since     Moment       // from when on it is known
	rereadFor netip.Addr   // the network whose wrong proof led to this read; zero: none did
	rights    atomic.Value // a [Rights], unless there are none yet
}

// newClient returns the snapshot of a client that was read at a moment. What
// its credentials need parsed is parsed here, once for all requests.
func newClient(row *store.Credentials, at time.Time, known bool) *Client {
	c := &Client{
		Credentials: row, Known: known, read: at, keys: clientKeys(row.Keys), keySets: clientKeySets(row.Keys),
		policies: clientPolicies(row.Federated),
	}
	if c.noted = c.first[:]; len(row.Used) != 1 {
		c.noted = make([]atomic.Int64, len(row.Used))
	}
	for i, use := range row.Used {
		c.noted[i].Store(use.MS)
	}
	return c
}

// Rights is what a client's roles give, as the package that works it out knows
// it, always of one type. It is worked out only after the client has proven who
// it is: a stranger's guess costs the same whether there is such a client or
// not.
type Rights any

// Rights returns what was kept with the client, or nil.
func (c *Client) Rights() Rights { return c.rights.Load() }

// Keep keeps what was worked out of the client, as long as the client itself is
// in memory.
func (c *Client) Keep(rights Rights) { c.rights.Store(rights) }

// rereadAfter is how long a wrong proof leads to no new read of its client
// after one from the same network has. A secret made on another node a moment
// ago must work here at once, whatever others send. And the guesses of a
// network may cost the database one read a client and second.
const rereadAfter = time.Second

// mayBeOutdated reports whether a client was read before a wrong proof came at
// a moment, and not because of another one of the same network just before.
func (c *Client) mayBeOutdated(began time.Time, ip netip.Addr) bool {
	return c.read.Before(began) && (c.rereadFor != limits.NetworkOf(ip) || began.Sub(c.read) > rereadAfter)
}

// SwitchedOff returns the refusal of a client that is disabled, or whose member
// is suspended, and nil if neither is so.
func SwitchedOff(c *store.Credentials) *oautherr.Error {
	switch {
	case c.Disabled:
		return oautherr.New(oautherr.CodeInvalidClient, "disabled",
			"service account is disabled; an administrator can enable it")
	case c.Suspended:
		return oautherr.New(oautherr.CodeInvalidClient, "suspended",
			"the member that this application key belongs to is suspended")
	}
	return nil
}

// Refused returns the refusal of a credential of a kind that the client's
// organization does not take, and nil if it takes it.
func Refused(kind string, c *store.Credentials) *oautherr.Error {
	switch {
	case c.Kind == store.ClientApplicationKey && c.ApplicationKeys == svcauth.ApplicationKeysRefused:
		return oautherr.New(oautherr.CodeInvalidClient, "secrets_refused",
			"the organization takes no application keys (its setting application_keys); use a service account")
	case c.Kind == store.ClientServiceAccount && kind == store.CredentialSecret &&
		c.SharedSecrets == svcauth.SharedSecretsRefused:
		return oautherr.New(oautherr.CodeInvalidClient, "secrets_refused", "the organization takes no client secrets "+
			"(its setting shared_secrets); use a key, a federated credential or a certificate")
	}
	return nil
}

// auditTarget returns the client as the audit log names it.
func (c *Client) auditTarget() svcauth.AuditTarget {
	kind := svcauth.KindServiceAccount
	if c.Kind == store.ClientApplicationKey {
		kind = "application_key"
	}
	return svcauth.AuditTarget{ID: c.ClientID, Kind: kind, Name: c.Name}
}

// AuditActor returns the client as the audit log names who acts.
func (c *Client) AuditActor() svcauth.AuditActor {
	if c.MemberID != "" {
		return svcauth.AuditActor{ID: c.MemberID, Kind: svcauth.KindMember, Name: c.Name, ClientID: c.ClientID}
	}
	return svcauth.AuditActor{ID: c.ClientID, Kind: svcauth.KindServiceAccount, Name: c.Name, ClientID: c.ClientID}
}
