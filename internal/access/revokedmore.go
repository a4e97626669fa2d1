package access

import (
	"fmt"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// RevokedMore returns the audit event of a revocation that has grown, because
// there would have been too many, to one that denies every token that the
// client, or the whole organization, was issued so far.
func RevokedMore(now time.Time, actor Actor, orgID, clientID string, wider store.Wider) svcauth.AuditEvent {
	t := &tx{now: now, actor: actor}
	t.actor.OrgID = orgID // the catalogue's actor is in none
	reason := fmt.Sprintf("There are at most %d live revocations in an organization, %d of them about its roles: all tokens issued in it so far are revoked "+
		"instead. Its clients get new ones with their next request.", store.MaxOrgRevocations, store.MaxPolicyRevocations)
	t.target = svcauth.AuditTarget{ID: orgID, Kind: "organization"}
	if wider == store.WiderClient {
		reason = fmt.Sprintf("There are at most %d live revocations of one client: all tokens issued to it so far are revoked instead. It gets a new one with "+
			"its next request.", store.MaxClientRevocations)
		t.target = svcauth.AuditTarget{ID: clientID, Kind: "application_key"}
		if svcauth.ValidID(svcauth.PrefixServiceAccount, clientID) {
			t.target.Kind = "service_account"
		}
	}
	return t.event(t.target.Kind+".revoke_tokens", svcauth.OutcomeDone, reason)
}
