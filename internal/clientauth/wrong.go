package clientauth

import (
	"net/netip"
	"time"

	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// limited refuses a request whose proof is costly to check if its client, at
// its address, or the address has sent as many wrong ones as it may. What is at
// work at this moment is not counted: server and store bound that.
func (a *Authenticator) limited(clientID string, ip netip.Addr) *oautherr.Error {
	retryAfter, limited := a.cfg.Cache.Limited(clientID, ip)
	if !limited {
		return nil
	}
	return tooManyCostly(retryAfter)
}

func tooManyCostly(retryAfter time.Duration) *oautherr.Error {
	return tooManyWrong("proof", "assertion or the certificate", retryAfter)
}

// tooManyWrong returns the refusal of one proof too many. What is costly to
// check gets one text, whether it was checked or not.
func tooManyWrong(kind, word string, retryAfter time.Duration) *oautherr.Error {
	e := oautherr.New(oautherr.CodeSlowDown, "too_many_requests",
		"too many wrong %ss; wait as Retry-After says, and correct the %s before trying again", kind, word)
	e.RetryAfter = retryAfter
	return e
}

// refuse counts a wrong proof, by the signatures that were checked for it, and
// returns the answer that it gets. One that could not be judged is answered in
// the same way, but nobody is locked out by it.
func (a *Authenticator) refuse(client *Client, method Method, m *Mismatch, r *Request) *oautherr.Error {
	unknown := svcauth.AuditActor{Kind: svcauth.KindUnknown, Name: svcauth.KindUnknown}
	reason, what := m.Reason, " was wrong."
	if m.Unjudged {
		reason, what = "keys_unreachable", " could not be checked: its keys can't be fetched."
	}
	a.record(client, "The "+m.Credential+what, r.IP, unknown)
	if refusal := a.count(method, m, r); refusal != nil {
		return refusal
	}
	if !client.Known {
		reason = "unknown_client"
	}
	e := oautherr.New(oautherr.CodeInvalidClient, reason, "%s", m.Description)
	e.Detail = m.Detail
	return e
}

// count counts a wrong proof, and refuses it if it was one too many.
func (a *Authenticator) count(method Method, m *Mismatch, r *Request) *oautherr.Error {
	var retryAfter time.Duration
	var limited bool
	if cost := r.work.Signatures(); m.Unjudged && cost == 0 {
		retryAfter, limited = a.cfg.Cache.FailUnjudged(r.ClientID, r.IP)
	} else {
		retryAfter, limited = a.cfg.Cache.Fail(r.ClientID, r.IP, max(1, cost))
	}
	if !limited {
		return nil
	}
	e := tooManyWrong(m.Credential, m.Word, retryAfter)
	if method.Costly() {
		e = tooManyCostly(retryAfter) // as [Authenticator.limited] says from now on
	}
	e.Detail = "Too many wrong " + m.Credential + "s came from this address. " + m.Detail
	return e
}
