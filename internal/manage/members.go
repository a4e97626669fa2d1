package manage

import (
	"context"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	tagMembers = "Members"
	pathMember = "/v1/members"
)

// MemberPatchOf changes a member.
type MemberPatchOf struct {
	Item
	Match
	Waiting
	Body svcauth.MemberPatch
}

func (m *API) members() {
	add(m, operation("listMembers", "GET", pathMember, tagMembers, svcauth.MembersRead,
		"List members",
		"Newest first."),
		func(ctx context.Context, in *Page) (*plain[svcauth.List[svcauth.Member]], error) {
			return page(m.cfg.People.Members(ctx, in.options()))
		})
	addMade(m, operation("inviteMember", "POST", pathMember, tagMembers, svcauth.MembersManage,
		"Invite a member",
		"The answer has `invitation_url`, a link that works once and for seven days; it is "+
			"sent by mail too where the server can: `invitation` says what became of that. A "+
			"service account gets no link, only the mail goes; 422 where no mail is configured. "+
			"You need every privilege that the member will hold, and the link opens only while "+
			"you hold it and may invite. Somebody who has not accepted yet is invited again in "+
			"the same way: a new link, the old one works no more. 409: the address is an active "+
			"or suspended member's."),
		func(ctx context.Context, in *struct{ Body svcauth.NewMember }) (*createdVersion[svcauth.Member], error) {
			member, err := m.cfg.People.InviteMember(ctx, in.Body)
			return &createdVersion[svcauth.Member]{pathMember + "/" + member.ID, etag(member.Version), member}, err
		})
	add(m, operation("getMember", "GET", pathMember+"/{id}", tagMembers, svcauth.MembersRead,
		"Get a member", ""),
		func(ctx context.Context, in *Item) (*versioned[svcauth.Member], error) {
			member, err := m.cfg.People.Member(ctx, in.ID)
			return &versioned[svcauth.Member]{etag(member.Version), member}, err
		})
	add(m, operation("updateMember", "PATCH", pathMember+"/{id}", tagMembers, svcauth.MembersManage,
		"Change a member",
		"What is absent stays. To suspend a member ends its sessions and application keys at "+
			"once, for good."),
		func(ctx context.Context, in *MemberPatchOf) (*versioned[svcauth.Member], error) {
			var member svcauth.Member
			e, err := m.enforcement(ctx, in.Waiting, func() (err error) {
				member, err = m.cfg.People.UpdateMember(ctx, in.ID, in.version, in.Body)
				return err
			})
			member.Enforcement = e
			return &versioned[svcauth.Member]{etag(member.Version), member}, err
		})
	addDone(m, operation("deleteMember", "DELETE", pathMember+"/{id}", tagMembers, svcauth.MembersManage,
		"Remove a member",
		"Its sessions and application keys end at once. Service accounts that it made live "+
			"on. The last Administrator can't be removed."),
		func(ctx context.Context, in *ItemWait) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error { return m.cfg.People.DeleteMember(ctx, in.ID) })
		})
	m.memberAccess()
}

func (m *API) memberAccess() {
	add(m, operation("resetMember", "POST", pathMember+"/{id}/reset", tagMembers, svcauth.MembersManage,
		"Reset a member's password",
		"The answer has `invitation_url`, a one-time link by which the member sets a new "+
			"password; a service account gets none, only the mail goes. The present password "+
			"stops working, and sessions and application keys end. Somebody who has not accepted "+
			"an invitation yet gets a new one, so this is also how to send it again."),
		func(ctx context.Context, in *Item) (*versioned[svcauth.Member], error) {
			member, err := m.cfg.People.ResetMember(ctx, in.ID)
			return &versioned[svcauth.Member]{etag(member.Version), member}, err
		})
	add(m, operation("listMemberRoles", "GET", pathMember+"/{id}/roles", tagMembers, svcauth.MembersRead,
		"List the roles of a member", ""),
		func(ctx context.Context, in *ItemPage) (*plain[svcauth.List[svcauth.Grant]], error) {
			return page(m.cfg.Access.MemberRoles(ctx, in.ID, in.options()))
		})
	addGrant(m, operation("assignMemberRole", "PUT", pathMember+"/{id}/roles/{role_id}",
		tagMembers, svcauth.MembersManage,
		"Assign a role to a member",
		aboutGrants+"The last active Administrator who holds that role for good keeps it so. The "+
			"answer is 200 and `default_refused` says if the member's application keys get no token "+
			"from now on without a scope or resource."+aboutCaution),
		func(ctx context.Context, in *GrantOf) (*granted, error) {
			return in.grant(ctx, m.cfg.Access.AssignMemberRole)
		})
	addDone(m, operation("unassignMemberRole", "DELETE", pathMember+"/{id}/roles/{role_id}",
		tagMembers, svcauth.MembersManage,
		"Unassign a role from a member",
		"The tokens of its application keys that carry the role die at once. It is no error "+
			"if it does not hold the role, nor if `grant` names a grant that is no longer there: "+
			"then nothing happens. The last Administrator keeps that role."),
		func(ctx context.Context, in *UngrantOf) (*done, error) {
			return m.takeAway(ctx, in.Waiting, func() error {
				return m.cfg.Access.UnassignMemberRole(ctx, in.ID, in.RoleID, in.Grant)
			})
		})
}
