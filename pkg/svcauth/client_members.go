package svcauth

import (
	"context"
	"net/http"
	"time"
)

const membersPath = "members"

// InviteMember invites a person. The answer has InvitationURL, a link that
// works once and expires; the server also sends it by mail if it is set up to.
// If the caller is a service account, the answer has no link. Inviting somebody
// again who hasn't accepted yet replaces the link, adds the roles, and replaces
// the name if one is given. Problems: [CodeConflict] if the address belongs to
// an active or suspended member, [CodeInvalid], [CodeMissingPrivileges].
func (c *Client) InviteMember(ctx context.Context, body NewMember) (Member, error) {
	return c.member(ctx, request{method: http.MethodPost, path: []string{membersPath}, body: body})
}

// Member returns the member with that id. Problem: [CodeNotFound].
func (c *Client) Member(ctx context.Context, id string) (Member, error) {
	return c.member(ctx, request{method: http.MethodGet, path: []string{membersPath, id}})
}

// Members returns one page of the organization's members, newest first.
func (c *Client) Members(ctx context.Context, options ListOptions) (List[Member], error) {
	return page[Member](ctx, c, options.query(), membersPath)
}

// UpdateMember changes the fields that patch sets and returns the changed
// member. Suspending a member ends its sessions, deletes its application keys
// and revokes their tokens, all at once. Problems: [CodePreconditionFailed] if
// version (0: any) is no longer the member's, [CodeConflict] for the last
// Administrator.
func (c *Client) UpdateMember(
	ctx context.Context,
	id string,
	version int64,
	patch MemberPatch,
	wait time.Duration,
) (Member, error) {
	return c.member(ctx, request{
		method:  http.MethodPatch,
		path:    []string{membersPath, id},
		body:    patch,
		version: version,
		wait:    wait,
	})
}

// ResetMember creates a one-time link (InvitationURL in the answer) with which
// a member sets a new password. The current password stops working.
func (c *Client) ResetMember(ctx context.Context, id string) (Member, error) {
	return c.member(ctx, request{method: http.MethodPost, path: []string{membersPath, id, "reset"}})
}

func (c *Client) member(ctx context.Context, r request) (Member, error) {
	var member Member
	version, err := c.do(ctx, r, &member)
	member.Version = version
	return member, err
}

// DeleteMember deletes a member with its sessions and application keys, at
// once. Service accounts that the member created stay. Problem: [CodeConflict]
// for the last Administrator.
func (c *Client) DeleteMember(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{membersPath, id}, wait: wait})
}

// MemberRoles returns one page of the roles that a member holds.
func (c *Client) MemberRoles(ctx context.Context, id string, options ListOptions) (List[Grant], error) {
	return page[Grant](ctx, c, options.query(), membersPath, id, "roles")
}

// AssignMemberRole grants a role to a member. If the member already has the
// role, it sets the new expiry; if body.ID differs from the existing grant's
// id, a new grant replaces that one. Callers can grant only privileges that
// they hold themselves, and for no longer than they hold them: otherwise
// [CodeMissingPrivileges]. Problem: [CodeConflict] if the role of the last
// Administrator would expire.
//
// The answer's warnings say if tokens of the member's application keys would be
// too long.
func (c *Client) AssignMemberRole(
	ctx context.Context,
	id, roleID string,
	body GrantRequest,
) (GrantAnswer, error) {
	return c.assignRole(ctx, membersPath, id, roleID, body)
}

// UnassignMemberRole takes a role from a member. Tokens of its application keys
// that carry the role are revoked at once. It is no error if the member doesn't
// have the role. If grantID is not empty, only that grant is ended: if another
// one has replaced it, nothing happens.
func (c *Client) UnassignMemberRole(
	ctx context.Context,
	id, roleID, grantID string,
	wait time.Duration,
) (*Enforcement, error) {
	return c.unassignRole(ctx, membersPath, id, roleID, grantID, wait)
}
