package clientauth

import (
	"context"
	"errors"
	"strings"
	"unique"

	"github.com/maypok86/otter/v2"

	"github.com/svcauth/svcauth/internal/store"
)

// roles keeps what the roles of organizations give, each role by itself as it
// was read at one moment, with its organization's pol at that moment. Those
// that are held by nobody who asks for tokens are not read. It is safe for
// concurrent use.
//
// A token carries the pol of its client, which was read with the client's epoch
// and grants. So a role counts for a client only if it was read under the same
// pol or a later one: then it lacks whatever was taken away up to that pol, and
// what is taken away later denies the token.
type roles struct {
	clients *Clients
	kept    *otter.Cache[string, *role]
	reads   *store.Shared[string, map[string]*role]
}

// role is a role at one moment.
type role struct {
	store.HeldRole // without an ID: there was none

	policy int64  // its organization's pol at that moment
	since  Moment // from when on it is known
}

// Memory for roles is reckoned by the client, since that is what an operator
// bounds; but there is enough for a few clients with all the roles that they
// can have.
const (
	roleBytesPerClient = 512
	minRoleBytes       = 4 << 20
	roleBytes          = 256 // of one without privileges, all that keeps it included
	privilegeBytes     = 16  // of one of its privileges, whose text many roles share
)

func newRoles(clients *Clients) *roles {
	return &roles{
		clients: clients,
		kept: otter.Must(&otter.Options[string, *role]{
			MaximumWeight: uint64(max(minRoleBytes, roleBytesPerClient*clients.cfg.Bound)),
			Weigher: func(_ string, r *role) uint32 {
				return uint32(roleBytes + privilegeBytes*len(r.Privileges))
			},
		}),
		reads: store.NewShared[string, map[string]*role](clients.cfg.Store),
	}
}

// publicOf is where the role Public of an organization is kept, which is not
// known by its id.
func publicOf(orgID string) string { return "public " + orgID }

// Roles returns the roles that a client holds, Public among them, with the
// expiries of its grants, and from when on all of that is known.
func (c *Clients) Roles(ctx context.Context, client *store.Credentials) (
	held []store.HeldRole, since Moment, err error,
) {
	wanted := make([]string, 1, len(client.Grants)+1)
	wanted[0] = publicOf(client.OrgID)
	for _, g := range client.Grants {
		wanted = append(wanted, g.RoleID)
	}
	since = c.Known(client.OrgID, c.Now())
	found, err := c.roles.find(ctx, client, wanted)
	if err != nil {
		return nil, since, err
	}
	for i, one := range found {
		since = since.Older(one.since)
		h := one.HeldRole
		if i > 0 {
			h.ExpiresAtMS = client.Grants[i-1].ExpiresAtMS
		}
		if h.ID != "" && (i == 0 || h.ID != found[0].ID) { // Public is held for ever
			held = append(held, h)
		}
	}
	return held, since, nil
}

// find returns roles for a client, in the order of their keys. It reads those
// that are not in memory: together with other requests, and if what these have
// read is older than the client, once more.
func (r *roles) find(ctx context.Context, client *store.Credentials, wanted []string) ([]*role, error) {
	found, missing := r.inMemory(wanted, client.Policy, nil)
	for _, read := range []func(context.Context, *store.Credentials, []string) (map[string]*role, error){
		r.readShared, r.read,
	} {
		if len(missing) == 0 {
			break
		}
		just, err := read(ctx, client, missing)
		if err != nil {
			return nil, err
		}
		found, missing = r.inMemory(wanted, client.Policy, just)
	}
	if len(missing) > 0 {
		return nil, errors.New("the pol of the organization " + client.OrgID + " has gone back")
	}
	return found, nil
}

// inMemory returns those of the wanted roles that are good under a pol, in
// their order: as they were just read, or as they are kept. It returns the keys
// of the others.
func (r *roles) inMemory(wanted []string, policy int64, read map[string]*role) (found []*role, missing []string) {
	for _, key := range wanted {
		one := read[key]
		if one == nil {
			if kept, ok := r.kept.GetIfPresent(key); ok && !kept.since.Outdated() {
				one = kept
			}
		}
		if one == nil || one.policy < policy {
			missing = append(missing, key)
			continue
		}
		found = append(found, one)
	}
	return found, missing
}

// readShared reads roles of a client's organization. Requests that miss the
// same ones share a read, and whoever has waited for a connection looks first
// whether they are there by now.
func (r *roles) readShared(ctx context.Context, client *store.Credentials, keys []string) (map[string]*role, error) {
	all := client.OrgID + " " + strings.Join(keys, " ")
	return r.reads.Do(ctx, all, func(ctx context.Context) (map[string]*role, error) {
		if found, missing := r.inMemory(keys, client.Policy, nil); len(missing) == 0 {
			there := make(map[string]*role, len(keys))
			for i, key := range keys {
				there[key] = found[i]
			}
			return there, nil
		}
		return r.read(ctx, client, keys)
	})
}

// read reads roles of a client's organization and keeps them. One that is not
// there is kept as such.
func (r *roles) read(ctx context.Context, client *store.Credentials, keys []string) (map[string]*role, error) {
	began, public := r.clients.Now(), publicOf(client.OrgID)
	var ids []string
	for _, key := range keys {
		if key != public {
			ids = append(ids, key)
		}
	}
	policy, there, err := r.clients.cfg.Store.Read().OrganizationRoles(ctx, client.OrgID, ids)
	if err != nil {
		return nil, err
	}
	since := r.clients.Known(client.OrgID, began)
	read := make(map[string]*role, len(keys))
	for _, key := range keys {
		read[key] = &role{policy: policy, since: since}
	}
	for _, h := range there {
		for i, p := range h.Privileges {
			h.Privileges[i] = unique.Make(p).Value()
		}
		one := &role{HeldRole: h, policy: policy, since: since}
		if read[h.ID] != nil {
			read[h.ID] = one
		}
		if h.Kind == store.RolePublic {
			read[public] = one
		}
	}
	for key, one := range read {
		r.kept.Set(key, one)
	}
	return read, nil
}
