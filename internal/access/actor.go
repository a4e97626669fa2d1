package access

import (
	"context"
	"slices"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Actor is the caller of a method, with the right by which it asks.
type Actor struct {
	ID       string // mem_…, sa_…, or "system"
	Kind     string // svcauth.KindMember, KindServiceAccount or KindSystem
	Name     string // a member's address or a service account's name, for the audit log
	OrgID    string // the organization whose things it may touch
	OrgName  string // its name; set for members who are signed in to the console
	Operator bool   // that organization is the operator's own
	ClientID string // the client whose token it is; empty for the console and the system

	// Privileges are those in force for this request: what the token carries,
	// or, in the console, what the member holds now. Only these may be handed
	// over, so that a token with a narrow scope can't make itself a wider one,
	// unless Full is set.
	Privileges []string
	// Full says that the token was asked for without a scope. It may then hand
	// over whatever its holder holds at that moment, of whichever API.
	Full bool

	// SessionEpoch is that of the console session, which ends when the member's
	// sessions have another one.
	SessionEpoch int64

	IP        string
	RequestID string
}

// System returns the server itself as an actor: bootstrap, expiry, the command
// line on the database. It may do everything in that organization.
func System(orgID string) Actor {
	return Actor{ID: svcauth.KindSystem, Kind: svcauth.KindSystem, Name: "svcauth", OrgID: orgID}
}

// CommandLine returns whoever works on the database itself, by the commands for
// the server's own machine. It is [System] under a name that says so.
func CommandLine(orgID string) Actor {
	a := System(orgID)
	a.Name = "operator on the server's machine"
	return a
}

// Has reports whether the privilege is in force for the actor.
func (a Actor) Has(privilege string) bool {
	return a.Kind == svcauth.KindSystem || slices.Contains(a.Privileges, privilege)
}

// Narrow reports whether the request may hand over less than its actor holds:
// one with a token, which carries what it was asked for.
func (a Actor) Narrow() bool { return a.ClientID != "" && !a.Full }

// Missing returns those of the privileges that the actor does not have, sorted
// and once each.
func (a Actor) Missing(privileges []string) []string {
	var lacking []string
	for _, p := range privileges {
		if !a.Has(p) {
			lacking = append(lacking, p)
		}
	}
	slices.Sort(lacking)
	return slices.Compact(lacking)
}

type actorKey struct{}

// WithActor puts the caller into the context. Only code that has authenticated
// the caller may do so.
func WithActor(ctx context.Context, a Actor) context.Context {
	return context.WithValue(ctx, actorKey{}, a)
}

// ActorFrom returns the caller that [WithActor] put there.
func ActorFrom(ctx context.Context) (Actor, bool) {
	a, ok := ctx.Value(actorKey{}).(Actor)
	return a, ok
}

// Caller returns the actor. It refuses an empty context, and an actor without
// the privilege. If privilege is empty, any actor will do.
func Caller(ctx context.Context, privilege string) (Actor, error) {
	a, ok := ActorFrom(ctx)
	if !ok || a.OrgID == "" || a.ID == "" {
		return Actor{}, svcauth.NewProblem(svcauth.CodeUnauthenticated,
			"Nobody is signed in: send a bearer token of this server, or sign in to the console.")
	}
	if privilege != "" && !a.Has(privilege) {
		return a, lacks([]string{privilege},
			"This needs the privilege %s, which %s does not carry. Ask an administrator for a "+
				"role that has it.", privilege, a.credential())
	}
	return a, nil
}

// credential names what the privileges came with, for messages.
func (a Actor) credential() string {
	if a.ClientID != "" && !a.Full {
		return "this token"
	}
	return "your account"
}

func lacks(missing []string, format string, args ...any) *svcauth.Problem {
	p := svcauth.NewProblem(svcauth.CodeMissingPrivileges, format, args...)
	p.Missing = missing
	return p
}

// Explainer returns the caller if it may ask why a token or a client may do
// something: with tokens:introspect or members:read.
func Explainer(ctx context.Context) (Actor, error) {
	if a, err := Caller(ctx, svcauth.TokensIntrospect); err == nil {
		return a, nil
	}
	return Caller(ctx, svcauth.MembersRead)
}

// MayExplain reports whether such a caller may ask about an organization: about
// its own, or, with tokens:introspect in the operator's organization, about
// any.
func (a Actor) MayExplain(orgID string) bool {
	return a.OrgID == orgID || a.Operator && a.Has(svcauth.TokensIntrospect)
}
