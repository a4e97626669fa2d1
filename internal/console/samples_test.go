package console

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func at(d time.Duration) *time.Time {
	t := noon.Add(d)
	return &t
}

// id makes an id that is the same in every run.
func id(prefix string, n byte) string {
	return prefix + "_01jq0000000000000000000" + "00" + string('0'+n)
}

func sampleConsole(t testing.TB) *Console {
	k, err := New(Config{
		Issuer:          "https://auth.example.com",
		SessionIdle:     time.Hour,
		SessionLifetime: time.Hour,
		Clock:           func() time.Time { return noon },
	})
	require.NoError(t, err)
	return k
}

// sample is one page with sample data.
type sample struct {
	name, template string
	page           page
	stranger       bool // nobody is signed in
}

func sampleAPIs() []svcauth.API {
	return []svcauth.API{{
		Audience: "https://api.example.com", Name: "Cloud API", AccountClaims: []string{"tier", "department"},
	}}
}

func sampleAccount() svcauth.ServiceAccount {
	return svcauth.ServiceAccount{
		ID:              id("sa", 1),
		ClientID:        id("sa", 1),
		Name:            "terraform-production",
		Description:     "Used by the platform team",
		TokenTTLSeconds: 3600,
		TokenBinding:    svcauth.TokenBindingDPoP,
		DefaultResource: "https://api.example.com",
		Claims:          map[string]any{"customer": map[string]any{"id": 7}, "tier": "gold"},
		Roles:           []svcauth.Ref{{ID: id("role", 3), Name: "Cluster operator"}},
		CreatedAt:       *at(-72 * time.Hour),
		CreatedBy:       svcauth.Creator{ID: id("mem", 1), Email: "ann@example.com"},
		LastUsedAt:      at(-5 * time.Minute),
		Secrets: []svcauth.SecretInfo{
			{
				ID:          id("sec", 2),
				Hint:        "9Zxy",
				Description: "rotation",
				CreatedAt:   *at(-time.Hour),
				CreatedBy:   svcauth.Creator{Email: "ann@example.com"},
				ExpiresAt:   at(30 * 24 * time.Hour),
			},
			{
				ID:         id("sec", 1),
				Hint:       "4Abc",
				CreatedAt:  *at(-72 * time.Hour),
				ExpiresAt:  at(-time.Minute),
				LastUsedAt: at(-5 * time.Minute),
			},
		},
		Version: 3,
	}
}

func sampleRoles() []svcauth.Role {
	return []svcauth.Role{
		{
			ID:              id("role", 3),
			Name:            "Cluster operator",
			Description:     "Runs clusters",
			Privileges:      []string{"clusters:edit", "clusters:view"},
			RequiresBinding: true,
			Members:         1,
			ServiceAccounts: 1234,
			CreatedAt:       *at(-72 * time.Hour),
			Version:         2,
		},
		{
			ID:          id("role", 2),
			Name:        "Public",
			Description: "Held by everyone",
			System:      true,
			Privileges:  []string{},
			CreatedAt:   *at(-100 * time.Hour),
			Version:     1,
		},
		{
			ID:          id("role", 1),
			Name:        "Administrator",
			Description: "Every privilege",
			System:      true,
			Privileges:  []string{"clusters:view"},
			Members:     2,
			CreatedAt:   *at(-100 * time.Hour),
			Version:     1,
		},
	}
}

func sampleMembers() []svcauth.Member {
	by := svcauth.Creator{ID: id("mem", 1), Email: "ann@example.com"}
	return []svcauth.Member{
		{
			ID:        id("mem", 2),
			Email:     "bob@example.com",
			FirstName: "Bob",
			LastName:  "Example",
			Status:    svcauth.MemberInvited,
			CreatedAt: *at(-time.Hour),
			CreatedBy: by,
			Version:   1,
			Invitation: &svcauth.Invitation{
				Kind:        "invite",
				ExpiresAt:   *at(167 * time.Hour),
				Mail:        svcauth.MailFailed,
				MailAt:      at(-50 * time.Minute),
				MailProblem: "It was not sent: the mail server refused the address (code 550). Check it.",
			},
		},
		{
			ID:           id("mem", 3),
			Email:        "eve@example.com",
			Status:       svcauth.MemberSuspended,
			Suspended:    true,
			CreatedAt:    *at(-90 * time.Hour),
			CreatedBy:    by,
			LastSignInAt: at(-80 * time.Hour),
			Version:      4,
			Roles: []svcauth.Ref{
				{ID: id("role", 4), Name: "A"},
				{ID: id("role", 5), Name: "B"},
				{ID: id("role", 6), Name: "C"},
				{ID: id("role", 7), Name: "D"},
			},
		},
		{
			ID:           id("mem", 1),
			Email:        "ann@example.com",
			FirstName:    "Ann",
			LastName:     "Example",
			Status:       svcauth.MemberActive,
			CreatedAt:    *at(-100 * time.Hour),
			CreatedBy:    by,
			LastSignInAt: at(-time.Second),
			Roles:        []svcauth.Ref{{ID: id("role", 1), Name: "Administrator"}},
			Version:      2,
		}}
}

func samples(k *Console) (all []sample) {
	add := func(name, template string, p page) {
		all = append(all, sample{name: name, template: template, page: p})
	}
	gate := func(name, template string, p page) {
		all = append(all, sample{name: name, template: template, page: p, stranger: true})
	}
	gate("signin", "signin", page{
		Title: "Sign in",
		Data:  signInData{Form: blank(), Next: "/console/members", Provider: true},
	})
	wrong := filled("email", "ann@example.com")
	wrong.Problem = "Address or password is wrong."
	gate("signin-refused", "signin", page{Title: "Sign in", Data: signInData{Form: wrong, Next: "/console/roles"}})
	gate("choice", "choice", page{
		Title: "Choose an organization",
		Data: choiceData{"ann@example.com", []people.Identity{
			{MemberID: id("mem", 1), Organization: svcauth.Ref{Name: "default"}},
			{MemberID: id("mem", 2), Organization: svcauth.Ref{Name: "Other"}},
		}},
	})
	gate("invitation", "invitation", page{
		Title: "Accept the invitation",
		Data: invitationData{blank(), "token", people.LinkInfo{
			Email:        "bob@example.com",
			FirstName:    "Bob",
			Kind:         "invite",
			Organization: "default",
			ExpiresAt:    *at(7 * 24 * time.Hour),
		}, true},
	})
	gate("invitation-no-password", "invitation", page{
		Title: "Accept the invitation",
		Data: invitationData{blank(), "token", people.LinkInfo{
			Email:        "bob@example.com",
			Kind:         "invite",
			Organization: "default",
			ExpiresAt:    *at(7 * 24 * time.Hour),
			NoPassword:   true,
		}, true},
	})
	short := blank()
	short.fail("password", "A password has 15 to 128 characters.")
	gate("invitation-reset", "invitation", page{
		Title: "Set a new password",
		Data: invitationData{short, "token", people.LinkInfo{
			Email:        "bob@example.com",
			Kind:         "reset",
			Organization: "default",
			ExpiresAt:    *at(23 * time.Hour),
		}, false},
	})
	add("problem", "problem", page{
		Title: "Missing privileges",
		Data:  &svcauth.Problem{Detail: "This needs the privilege audit:read.", Missing: []string{"audit:read"}},
	})
	samplesOfMembers(add)
	samplesOfAccounts(k, add)
	samplesOfRoles(add)
	samplesOfTheRest(k, add)
	return all
}

func samplesOfMembers(add func(name, template string, p page)) {
	members := list[svcauth.Member]{Rows: sampleMembers(), path: "/console/members", More: "/console/members?cursor=x"}
	p := page{Title: "Members", Nav: "members", Data: membersData{List: members, Manage: true}}
	add("members", "members", p)
	p.Data = membersData{List: list[svcauth.Member]{path: "/console/members", Query: "nobody"}}
	add("members-nobody", "members", p)
	taken := filled("email", "ann@example.com", "first_name", "Ann", "role_ids", id("role", 3))
	taken.fail("email", "ann@example.com is a member of this organization already.")
	p.Dialog, p.Data = true, membersData{List: members, Form: taken, Roles: sampleRoles()[:1], Manage: true}
	add("members-invite-refused", "members", p)
	p.Data = membersData{
		List: members,
		Made: &invitationLink{
			Email: "bob@example.com",
			URL:   "https://auth.example.com/console/invitation?token=t",
			Done:  "/console/members/" + id("mem", 2),

			ExpiresAt: at(7 * 24 * time.Hour),
		},
	}
	add("members-invited", "members", p)
	p.Data = membersData{
		List: members,
		Made: &invitationLink{
			Email: "bob@example.com",
			URL:   "https://auth.example.com/console/invitation?token=t",
			Done:  "/console/members/" + id("mem", 2),
			Mail:  svcauth.MailQueued,
		},
	}
	add("members-invited-mailed", "members", p)
	m := sampleMembers()[2]
	grants := []svcauth.Grant{{RoleID: id("role", 1), Name: "Administrator", GrantedAt: *at(-50 * time.Hour)},
		{RoleID: id("role", 2), Name: "On call", GrantedAt: *at(-5 * time.Hour), ExpiresAt: at(24 * time.Hour)}}
	one := func(name string, d memberData) {
		d.Member, d.Manage = m, true
		if d.Form == nil {
			d.Form = memberForm(m)
		}
		add("member-"+name, "member", page{
			Title:  personName(m),
			Nav:    "members",
			Parent: &link{"Members", "/console/members"},
			Dialog: d.Dialog != "",
			Data:   d,
		})
	}
	one("details", memberData{Tab: "details"})
	one("roles", memberData{Tab: "roles", Grants: grants, Assignable: sampleRoles()[:1]})
	one("roles-refused", memberData{
		Tab:        "roles",
		Grants:     grants,
		Assignable: sampleRoles()[:1],
		Form:       &form{Problem: "You hold that only until tomorrow."},
	})
	keys := []svcauth.ApplicationKey{
		{
			ID:          id("ak", 1),
			ClientID:    id("ak", 1),
			Description: "laptop",
			CreatedAt:   *at(-time.Hour),
			LastUsedAt:  at(-time.Minute),
		},
	}
	one("keys", memberData{Tab: "keys", Keys: keys})
	one("keys-empty", memberData{Tab: "keys"})
	one("key-delete", memberData{Tab: "keys", Dialog: "key", Keys: keys, Key: keys[0]})
	one("roles-empty", memberData{Tab: "roles"})
	for _, dialog := range []string{"edit", "suspend", "reset", "remove"} {
		one(dialog, memberData{
			Tab:    "details",
			Dialog: dialog,
			Self:   dialog == "remove",
			Impact: access.Impact{Keys: 2, Tokens: 3, Addresses: 1, LastUsed: at(-time.Minute)},
		})
	}
	m = sampleMembers()[0]
	one("invited", memberData{Tab: "details"})
	m.Invitation = &svcauth.Invitation{
		Kind:      "invite",
		ExpiresAt: *at(time.Hour),
		Mail:      svcauth.MailSent,
		MailAt:    at(-time.Hour),
		Problem:   "Whoever made this link may not make one any more. Make a new link.",
	}
	one("invited-closed", memberData{Tab: "details"})
	m.Invitation = nil
	one("invited-expired", memberData{Tab: "details"})
	m = sampleMembers()[2]
	one("unassign", memberData{Tab: "roles", Dialog: "unassign", Grants: grants, Grant: grants[0]})
}

func samplesOfAccounts(k *Console, add func(name, template string, p page)) {
	accounts := list[svcauth.ServiceAccount]{
		Rows: []svcauth.ServiceAccount{sampleAccount()},
		path: "/console/service-accounts",
		Sort: "-name",
		Cut:  true,
	}
	p := page{Title: "Members", Nav: "members", Data: accountsData{List: accounts, Manage: true}}
	add("accounts", "serviceaccounts", p)
	p.Data = accountsData{List: list[svcauth.ServiceAccount]{path: "/console/service-accounts"}, Manage: true}
	add("accounts-empty", "serviceaccounts", p)
	taken := filled("name", "terraform-production")
	taken.refused(
		svcauth.NewProblem(svcauth.CodeConflict, "A service account with the name %q exists already.",
			"terraform-production"), "name")
	p.Dialog, p.Data = true, accountsData{List: accounts, Form: taken, APIs: sampleAPIs(), Manage: true}
	add("accounts-new-refused", "serviceaccounts", p)
	secret := svcauth.Secret("svcs_" + strings.Repeat("A", 49))
	p.Data = accountsData{
		List:   accounts,
		Made:   k.newCreated(id("sa", 1), secret, "terraform-production", "/console/service-accounts/"+id("sa", 1)),
		Manage: true,
	}
	add("accounts-secret", "serviceaccounts", p)

	a, hit := sampleAccount(), access.Impact{Tokens: 3, Addresses: 2, LastUsed: at(-5 * time.Minute)}
	grants := []svcauth.Grant{
		{
			RoleID:    id("role", 3),
			Name:      "Cluster operator",
			GrantedAt: *at(-50 * time.Hour),
			ExpiresAt: at(24 * time.Hour),
		},
	}
	tokens := list[svcauth.LiveToken]{path: "/console/service-accounts/" + a.ID + "/tokens", Rows: []svcauth.LiveToken{
		{
			JTI:       "jti1",
			Scope:     "clusters:view",
			SecretID:  a.Secrets[0].ID,
			IssuedAt:  *at(-time.Minute),
			ExpiresAt: *at(time.Hour),
			IP:        "192.0.2.7",
			UserAgent: "Terraform/1.9",
		},
		{JTI: "jti2", SecretID: id("sec", 9), IssuedAt: *at(-time.Hour), ExpiresAt: *at(time.Minute), IP: "192.0.2.8"}}}
	one := func(name string, d accountData) {
		d.Account, d.Manage, d.APIs = a, name != "readonly", sampleAPIs()
		if d.Form == nil {
			d.Form = blank()
		}
		add("account-"+name, "serviceaccount", page{
			Title:  a.Name,
			Nav:    "members",
			Parent: &link{"Service accounts", "/console/service-accounts"},
			Dialog: d.Dialog != "",
			Data:   d,
		})
	}
	one("details", accountData{Tab: "details"})
	one("readonly", accountData{Tab: "details"})
	edited := accountForm(a)
	edited.Values.Set("name", "mine")
	now := sampleAccount()
	now.Name, now.Version = "theirs", 4
	edited.moved(accountForm(now))
	one("edit-stale", accountData{Tab: "details", Dialog: "edit", Form: edited})
	one("disable", accountData{Tab: "details", Dialog: "disable", Impact: access.Impact{Unknown: true}})
	stops := blank()
	stops.Warnings = []string{"The service account terraform-production gets no token without a resource."}
	one("enable-warned", accountData{Tab: "details", Dialog: "enable", Form: stops})
	one("roles-warned", accountData{Tab: "roles", Grants: grants, Assignable: sampleRoles()[:1], Form: stops})
	one("remove", accountData{Tab: "details", Dialog: "remove", Impact: hit})
	one("roles", accountData{Tab: "roles", Grants: grants, Assignable: sampleRoles()[:1]})
	kept := svcauth.CredentialWarning{
		ServiceAccount: svcauth.Ref{ID: id("sa", 1), Name: "terraform-production"},
		Kind:           svcauth.KindSecret,
		CredentialID:   id("sec", 2),
		Hint:           "9Zxy",
		CreatedBy:      svcauth.Creator{Email: "ann@example.com"},
		Missing:        []string{"clusters:edit", "clusters:view"},
	}
	one("roles-kept-secret", accountData{
		Tab:    "roles",
		Grants: grants,
		Warnings: []svcauth.CredentialWarning{kept, {
			Kind:         svcauth.KindKey,
			CredentialID: id("key", 1),
			Hint:         "4Abc",
			Missing:      []string{"clusters:edit"},
		}},
	})
	one("roles-empty", accountData{Tab: "roles"})
	one("unassign", accountData{Tab: "roles", Grants: grants, Grant: grants[0], Dialog: "unassign", Impact: hit})
	one("secrets", accountData{Tab: "credentials", Secrets: a.Secrets})
	one("secrets-empty", accountData{Tab: "credentials"})
	one("secret-new", accountData{Tab: "credentials", Secrets: a.Secrets, Dialog: "new-secret"})
	one("secret-shown", accountData{
		Tab:     "credentials",
		Secrets: a.Secrets,
		Dialog:  "secret",
		Made:    k.newCreated(a.ID, secret, a.Name, "/console/service-accounts/"+a.ID+"/credentials"),
	})
	one("secret-edit", accountData{
		Tab:     "credentials",
		Secrets: a.Secrets,
		Secret:  a.Secrets[0],
		Dialog:  "edit-secret",
		Form:    filled("description", "rotation", "expires_at", fieldTime(a.Secrets[0].ExpiresAt)),
	})
	one("secret-remove", accountData{
		Tab:     "credentials",
		Secrets: a.Secrets,
		Secret:  a.Secrets[0],
		Dialog:  "remove-secret",
		Impact:  access.Impact{},
	})
	federated := credentialGroup{Rows: []credential{{
		ID: id("fed", 1), Title: "deploy", Detail: []string{"issuer https://token.actions.githubusercontent.com",
			"environment production"}, CreatedAt: a.CreatedAt, CreatedBy: a.CreatedBy,
	}}}
	for _, kind := range credentialKinds {
		if kind.kind == svcauth.KindFederatedCredential {
			federated.credentialKind = kind
		}
	}
	groups := []credentialGroup{federated}
	one("credentials", accountData{Tab: "credentials", Secrets: a.Secrets, Groups: groups})
	one("credential-remove", accountData{
		Tab: "credentials", Groups: groups, Credential: federated.Rows[0], Kind: federated.credentialKind,
		Dialog: "remove-credential", Impact: hit,
	})
	one("federated-new", accountData{
		Tab: "credentials", Groups: groups, Kind: federated.credentialKind, Dialog: "new-federated-credentials",
		Form: filled("preset", svcauth.PresetGitHub), Preset: presetFormOf(svcauth.PresetGitHub),
	})
	warned := filled("preset", svcauth.PresetKubernetes, "namespace", "shop", "audience", "https://api.example.com")
	warned.Warnings = []string{"A service account that is deleted and made again has the same name."}
	one("federated-warned", accountData{
		Tab: "credentials", Groups: groups, Kind: federated.credentialKind, Dialog: "new-federated-credentials",
		Form: warned, Preset: presetFormOf(svcauth.PresetKubernetes),
	})
	one("federated-edit", accountData{
		Tab: "credentials", Groups: groups, Kind: federated.credentialKind, Dialog: "edit-federated-credentials",
		Credential: federated.Rows[0], Form: filled("name", "deploy", "claims", "environment=production"),
	})
	one("key-edit", accountData{
		Tab: "credentials", Groups: groups, Kind: credentialKinds[0], Dialog: "edit-keys",
		Credential: credential{ID: id("key", 1), Title: "Gf6N4iAqCW9250a9lII0tzfXZCurtaQVgyCaLA9e7fM"},
		Form:       filled("description", "signing machine", "accept_token_url_audience", "yes"),
	})
	for _, preset := range svcauth.FederatedPresets()[1:] {
		one("federated-use-"+preset, accountData{
			Tab: "credentials", Groups: groups, Kind: federated.credentialKind, Dialog: "federated-made",
			Trust: k.trustOf(a.ID, svcauth.FederatedCredential{
				Name: "deploy", Preset: preset, Issuer: "https://issuer.example", Audience: "https://auth.example.com",
				Subject: "system:serviceaccount:shop:checkout",
			}, ""),
		})
	}
	one("federated-made", accountData{
		Tab: "credentials", Groups: groups, Kind: federated.credentialKind, Dialog: "federated-made",
		Trust: k.trustOf(a.ID, svcauth.FederatedCredential{
			Name: "deploy", Preset: svcauth.PresetGitHub, Issuer: "https://token.actions.githubusercontent.com",
			Audience: "https://auth.example.com", Claims: map[string]string{"environment": "production"},
			Warnings: []svcauth.FederatedWarning{{Code: "x", Message: "A repository may be renamed."}},
		}, "acme/app"),
	})
	add("simulator", "simulator", page{Title: "Trust simulator", Nav: "trust-simulator", Data: simulatorData{
		Form: filled("account", a.ID), Tried: true, Result: svcauth.FederatedTestResult{
			Credentials: []svcauth.FederatedTestMatch{
				{ServiceAccount: svcauth.Ref{ID: a.ID, Name: a.Name}, Name: "deploy", Matches: true},
				{ServiceAccount: svcauth.Ref{ID: a.ID, Name: a.Name}, Name: "plan", Rule: "claims",
					Expected: "environment = plan", Got: "production"},
			}, More: true,
		},
	}})
	one("tokens", accountData{Tab: "tokens", Tokens: tokens, Hints: map[string]string{a.Secrets[0].ID: "…9Zxy"}})
	one("tokens-empty", accountData{Tab: "tokens", Tokens: list[svcauth.LiveToken]{path: tokens.path}})
	one("tokens-partial", accountData{Tab: "tokens", Tokens: list[svcauth.LiveToken]{path: tokens.path, Partial: true}})
	one("tokens-revoke", accountData{Tab: "tokens", Tokens: tokens, Dialog: "revoke-all", Impact: hit})
	one("refusals-empty", accountData{Tab: "refusals"})
	refused := sampleRefusals()
	one("refusals", accountData{Tab: "refusals", Refusals: refused, Audits: true})
	a.LastRefused = &refused[0]
	one("details-refused", accountData{Tab: "details"})
	samplesOfRequests(add, refused[0])
}

func sampleRefusals() []svcauth.Refusal {
	return []svcauth.Refusal{
		{
			At: *at(-time.Minute), FirstAt: *at(-30 * time.Minute), Count: 12, Endpoint: "/oauth2/token",
			Code: "invalid_client", Reason: "wrong_secret", Detail: "The client secret is none of this client's.",
			IP: "192.0.2.7", UserAgent: "curl/8.5.0", RequestIDs: []string{id("req", 1), id("req", 2)},
		},
		{
			At: *at(-2 * time.Hour), FirstAt: *at(-2 * time.Hour), Count: 1, Endpoint: "/oauth2/token",
			Code: "invalid_scope", Reason: "scope_not_granted", Detail: "clusters:edit is not granted",
			Authenticated: true, CredentialID: id("sec", 2), RequestIDs: []string{id("req", 3)},
		},
	}
}

func samplesOfRequests(add func(name, template string, p page), r svcauth.Refusal) {
	p := page{Title: "Look up a request", Nav: "audit-log", Parent: &link{"Audit log", "/console/audit-log"}}
	p.Data = requestData{Form: filled("id", r.RequestIDs[0]), Explanation: &svcauth.Explanation{
		Refusal: &r,
		Steps: []svcauth.ExplainStep{
			{Name: "request", Outcome: svcauth.StepOK, Detail: "/oauth2/token from 192.0.2.7"},
			{Name: "secret", Outcome: svcauth.StepFailed, Detail: r.Detail},
			{Name: "account", Outcome: svcauth.StepSkipped, Detail: "not looked at"},
		},
	}}
	add("request", "request", p)
	mistyped := filled("id", "req_x")
	mistyped.fail("id", "Expected the id of a request: req_ and 26 letters and digits.")
	p.Data = requestData{Form: mistyped}
	add("request-mistyped", "request", p)
	unknown := filled("id", r.RequestIDs[1])
	unknown.Problem = "Nothing is kept of this request in your organization."
	p.Data = requestData{Form: unknown}
	add("request-unknown", "request", p)
}

func samplesOfRoles(add func(name, template string, p page)) {
	p := page{
		Title: "Roles",
		Nav:   "roles",
		Data:  rolesData{list[svcauth.Role]{Rows: sampleRoles(), path: "/console/roles"}, true},
	}
	add("roles", "roles", p)
	p.Data = rolesData{list[svcauth.Role]{Rows: sampleRoles()[1:], path: "/console/roles"}, true}
	add("roles-first", "roles", p)
	groups := []group{{
		svcauth.API{Audience: "https://api.cloud.example", Name: "Cloud API", Description: "Clusters"},
		[]svcauth.Privilege{
			{Name: "clusters:view", Title: "View clusters", Description: "See clusters"},
			{Name: "clusters:edit", Title: "Edit clusters", Description: "Change clusters"},
		},
	}}
	one := func(name string, d roleData) {
		d.Groups = groups
		if d.Form == nil {
			d.Form = roleForm(d.Role)
		}
		add("role-"+name, "role", page{
			Title:  d.Role.Name,
			Nav:    "roles",
			Parent: &link{"Roles", "/console/roles"},
			Dialog: d.Dialog,
			Data:   d,
		})
	}
	roles, all := sampleRoles(), map[string]bool{"clusters:view": true, "clusters:edit": true}
	one("new", roleData{Form: blank(), Manage: true, Holds: map[string]bool{"clusters:view": true}})
	one("custom", roleData{Role: roles[0], Manage: true, Holds: all})
	one("public", roleData{Role: roles[1], Manage: true, Holds: all})
	one("administrator", roleData{Role: roles[2], Manage: true, Locked: true, Holds: all})
	one("delete", roleData{
		Role:   roles[0],
		Manage: true,
		Holds:  all,
		Dialog: true,
		Holders: access.RoleHolders{More: 7, Holders: []access.RoleHolder{
			{ID: id("mem", 1), Kind: svcauth.KindMember, Name: "ann@example.com"},
			{
				ID:    id("sa", 1),
				Kind:  svcauth.KindServiceAccount,
				Name:  "terraform-production",
				Loses: []string{"clusters:edit", "clusters:view"},
			},
		}},
	})
}

func samplesOfTheRest(k *Console, add func(name, template string, p page)) {
	key := svcauth.ApplicationKey{
		ID:          id("ak", 1),
		ClientID:    id("ak", 1),
		Description: "my laptop",
		CreatedAt:   *at(-72 * time.Hour),
		LastUsedAt:  at(-time.Minute),
		Secret:      svcauth.SecretInfo{Hint: "4Abc"},
	}
	keys := list[svcauth.ApplicationKey]{Rows: []svcauth.ApplicationKey{key}, path: "/console/application-keys"}
	p := page{Title: "Application keys", Nav: "application-keys", Data: keysData{List: keys}}
	add("keys", "applicationkeys", p)
	p.Data = keysData{List: list[svcauth.ApplicationKey]{path: "/console/application-keys"}}
	add("keys-empty", "applicationkeys", p)
	p.Dialog, p.Data = true, keysData{List: keys, Form: blank()}
	add("keys-new", "applicationkeys", p)
	p.Data = keysData{
		List:   keys,
		Delete: &key,
		Impact: access.Impact{Tokens: 1, Addresses: 1, LastUsed: at(-time.Minute)},
	}
	add("keys-delete", "applicationkeys", p)
	p.Data = keysData{
		List: keys,
		Made: k.newCreated(key.ClientID, svcauth.Secret("svcs_"+strings.Repeat("B", 49)), key.Description,
			"/console/application-keys"),
	}
	add("keys-secret", "applicationkeys", p)

	actor := svcauth.AuditActor{ID: id("mem", 1), Kind: svcauth.KindMember, Name: "ann@example.com"}
	events := []svcauth.AuditEvent{
		{
			ID:      id("evt", 2),
			Time:    *at(-time.Minute),
			Actor:   actor,
			Action:  "role.create",
			Target:  svcauth.AuditTarget{Kind: "role", Name: "X"},
			Outcome: svcauth.OutcomeRefused,
			Reason:  "A role with this name exists already.",
			IP:      "192.0.2.7",
			Count:   12,
		},
		{
			ID:   id("evt", 1),
			Time: *at(-time.Hour),
			Actor: svcauth.AuditActor{
				ID:       id("sa", 1),
				Kind:     svcauth.KindServiceAccount,
				Name:     "terraform-production",
				ClientID: id("sa", 1),
			},
			Action:  "service_account.create",
			Target:  svcauth.AuditTarget{ID: id("sa", 2), Kind: "service_account", Name: "ci"},
			Outcome: svcauth.OutcomeDone,
			After:   json.RawMessage(`{"name":"ci"}`),
		}}
	add("audit", "auditlog", page{
		Title: "Audit log",
		Nav:   "audit-log",
		Data: auditData{
			Form:    blank(),
			Events:  events,
			Actions: []string{"role.create"},
			More:    "/console/audit-log?cursor=x",
			CSV:     "/console/audit-log/export?format=csv",
			Lines:   "/console/audit-log/export?format=json-lines",
		},
	})
	odd := filled("since", "yesterday", "action", "x.y")
	odd.dateTime("since")
	add("audit-filtered", "auditlog", page{
		Title: "Audit log",
		Nav:   "audit-log",
		Data:  auditData{Form: odd, Narrow: true},
	})

	signing := []svcauth.SigningKey{
		{
			KID:       "kid-next",
			Algorithm: "ES256",
			State:     svcauth.KeyNext,
			CreatedAt: *at(-time.Hour),
			SignsFrom: at(630 * time.Hour),
		},
		{
			KID:         "kid-active",
			Algorithm:   "ES256",
			State:       svcauth.KeyActive,
			CreatedAt:   *at(-100 * time.Hour),
			ActivatedAt: at(-90 * time.Hour),
		},
		{
			KID:         "kid-retired",
			Algorithm:   "ES256",
			State:       svcauth.KeyRetired,
			CreatedAt:   *at(-900 * time.Hour),
			ActivatedAt: at(-800 * time.Hour),
			RetiredAt:   at(-90 * time.Hour),
			DeleteAfter: at(time.Hour),
		},
	}
	both := append([]svcauth.SigningKey{
		{KID: "kid-rsa", Algorithm: "RS256", State: svcauth.KeyNext, CreatedAt: *at(-time.Minute)},
	}, signing...)
	for name, dialog := range map[string]string{"-several": "", "-several-rotate": "rotate"} {
		data := newSigningData(both, dialog)
		data.InUse = []string{"ES256", "RS256"}
		add("signing-keys"+name, "signingkeys", page{
			Title: "Signing keys", Nav: "signing-keys", Dialog: dialog != "", Data: data,
		})
	}
	for name, dialog := range map[string]string{"": "", "-rotate": "rotate", "-revoke": "revoke"} {
		add("signing-keys"+name, "signingkeys", page{
			Title:  "Signing keys",
			Nav:    "signing-keys",
			Dialog: dialog != "",
			Data:   signingData{Keys: signing, InUse: []string{"ES256"}, Dialog: dialog, Key: signing[1]},
		})
	}
	servers := []svcauth.ResourceServer{
		{
			Name:        "example-api",
			Audience:    "https://api.cloud.example",
			ClientID:    id("sa", 4),
			Instance:    "pod-1",
			Node:        "a",
			Cursor:      "7",
			ConnectedAt: *at(-time.Hour),

			Version: "0.1.0", ChecksBindings: true,
		},
		{
			Name:        "billing",
			Audience:    "https://billing.cloud.example",
			ClientID:    id("sa", 5),
			Instance:    "pod-2",
			Node:        "a",
			Behind:      2,
			LagMS:       1500,
			ConnectedAt: *at(-time.Hour),
		},
	}
	add("servers", "resourceservers", page{
		Title: "Resource servers",
		Nav:   "resource-servers",
		Data:  serversData{servers, true, noon},
	})
	add("apis", "catalogue", page{Title: "APIs", Nav: "catalogue", Data: newCatalog([]svcauth.API{
		{Audience: "https://api.cloud.example", Name: "Cloud API", Description: "Clusters"},
		{
			Audience: "https://gateway.example", Name: "Gateway", AccountClaims: []string{"tier", "zone"},
			Profile: &svcauth.Profile{Preset: "spring", AudienceForm: "string"},
		},
	}, []svcauth.Privilege{
		{Name: "clusters:view", Title: "View clusters", Description: "See <them>", API: "https://api.cloud.example"},
	}, func(a svcauth.API) svcauth.Profile {
		if a.Profile == nil {
			return svcauth.Profile{SigningAlgorithm: "ES256", Typ: "at+jwt", ScopeClaim: "scope"}
		}
		return svcauth.Profile{
			Preset: "spring", SigningAlgorithm: "RS256", Typ: "JWT", ScopeClaim: "scope", AudienceForm: "string",
			Claims: map[string]any{"tenant": "{org_id}/{name}"},
		}
	})})
	add("servers-empty", "resourceservers", page{
		Title: "Resource servers",
		Nav:   "resource-servers",
		Data:  serversData{nil, true, noon},
	})
	add("servers-hidden", "resourceservers", page{
		Title: "Resource servers",
		Nav:   "resource-servers",
		Data:  serversData{nil, false, noon},
	})
	org := svcauth.Organization{
		ID:                             id("org", 1),
		Name:                           "default",
		Operator:                       true,
		ServiceAccountsMayManageAccess: true,
		CreatedAt:                      *at(-200 * time.Hour),
		Version:                        5,
	}
	org.PasswordSignIn = svcauth.PasswordSignInOn
	samplesOfOrganizations(k, add, org)
	refused := blank()
	refused.refused(svcauth.InvalidField("body.current_password", "The current password is wrong."), "")
	add("profile", "profile", page{
		Title: "Profile",
		Nav:   "profile",
		Data: profileData{
			svcauth.Me{Roles: []string{"Administrator"}, Privileges: []string{"members:read"}},
			filled("first_name", "Ann"),
			refused,
			[]svcauth.AuditEvent{{Time: *at(-time.Hour), IP: "192.0.2.7", Count: 3, Reason: "The password was wrong."}},
			false,
		},
	})
	add("profile-no-password", "profile", page{
		Title: "Profile",
		Nav:   "profile",
		Data:  profileData{svcauth.Me{}, blank(), blank(), nil, true},
	})
}
