package svcauth

import (
	"context"
	"net/http"
	"time"
)

const membersPath = "members"

// InviteMember invites a person. The answer has InvitationURL, a link that works
// once and expires, unless the caller is a service account; the server also sends
// it by mail if it can. Inviting somebody who has not accepted yet replaces the
// link; the roles are added, and a name that is given replaces the old one.
// Problems: [CodeConflict] if the address is an active or suspended member's,
// [CodeInvalid], [CodeMissingPrivileges].
func (c *Client) InviteMember(ctx context.Context, body NewMember) (Member, error) {
	return c.member(ctx, request{method: http.MethodPost, path: []string{membersPath}, body: body})
}

// Member returns the one with that id. Problem: [CodeNotFound].
func (c *Client) Member(ctx context.Context, id string) (Member, error) {
	return c.member(ctx, request{method: http.MethodGet, path: []string{membersPath, id}})
}

// Members returns one page of the organization's members, newest first.
func (c *Client) Members(ctx context.Context, options ListOptions) (List[Member], error) {
	return page[Member](ctx, c, options.query(), membersPath)
}

// UpdateMember changes what patch names. Suspending a member ends its sessions,
// deletes its application keys and revokes their tokens at once. Problems:
// [CodePreconditionFailed] if version (0: any) is no longer the member's,
// [CodeConflict] for the last Administrator.
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

// ResetMember creates a one-time link (InvitationURL in the answer) by which a
// member sets a new password. The present one stops working.
func (c *Client) ResetMember(ctx context.Context, id string) (Member, error) {
	return c.member(ctx, request{method: http.MethodPost, path: []string{membersPath, id, "reset"}})
}

func (c *Client) member(ctx context.Context, r request) (Member, error) {
	var member Member
	version, err := c.do(ctx, r, &member)
	member.Version = version
	return member, err
}

// DeleteMember deletes a member with its sessions and application keys, at once.
// Service accounts that it created stay. Problem: [CodeConflict] for the last
// Administrator.
func (c *Client) DeleteMember(ctx context.Context, id string, wait time.Duration) (*Enforcement, error) {
	return c.takeAway(ctx, request{method: http.MethodDelete, path: []string{membersPath, id}, wait: wait})
}

// MemberRoles returns one page of the roles that a member holds.
func (c *Client) MemberRoles(ctx context.Context, id string, options ListOptions) (List[Grant], error) {
	return page[Grant](ctx, c, options.query(), membersPath, id, "roles")
}

// AssignMemberRole gives a role to a member; given again, it sets the new
// expiry, and with another id the new grant takes the place of the one that is
// there. One grants only what one holds, and for no longer:
// [CodeMissingPrivileges]. [CodeConflict] if it would let the last Administrator
// expire. The answer says if tokens of the member's application keys would be
// too long.
func (c *Client) AssignMemberRole(
	ctx context.Context,
	id, roleID string,
	body GrantRequest,
) (answer GrantAnswer, err error) {
	_, err = c.do(ctx, request{
		method: http.MethodPut,
		path:   []string{membersPath, id, "roles", roleID},
		body:   body,
	}, &answer)
	return answer, err
}

// UnassignMemberRole takes a role from a member. Its application keys' tokens
// that carry the role die at once. It is no error if it did not hold the role.
// With a grantID it ends that grant alone: if another has taken its place,
// nothing happens.
func (c *Client) UnassignMemberRole(
	ctx context.Context,
	id, roleID, grantID string,
	wait time.Duration,
) (*Enforcement, error) {
	return c.takeAway(ctx, request{
		method: http.MethodDelete,
		path:   []string{membersPath, id, "roles", roleID},
		query:  ofGrant(grantID),
		wait:   wait,
	})
}
