package svcauth

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Every method against contract §3: verb, path, query, body.
func TestEveryCall(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	const wait = 2 * time.Second
	for _, test := range []struct {
		call func(context.Context, *Client) error
		want seen // its contentType and userAgent are checked for all alike
	}{
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateServiceAccount(ctx,
				NewServiceAccount{Name: "ci", RoleIDs: []string{"role_1"}, TokenTTLSeconds: 60, SecretExpiresAt: &at})
			return err
		}, seen{method: "POST", path: "/v1/service-accounts",
			body: `{"name":"ci","role_ids":["role_1"],"token_ttl_seconds":60,"secret_expires_at":"2026-01-02T03:04:05+01:00"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.ServiceAccount(ctx, "sa_1"); return err },
			seen{method: "GET", path: "/v1/service-accounts/sa_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ServiceAccounts(ctx, ListOptions{Limit: 7, Cursor: "a b", Name: "ci"})
			return err
		}, seen{method: "GET", path: "/v1/service-accounts", query: "cursor=a+b&limit=7&name=ci"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateServiceAccount(ctx, "sa_1", 7, ServiceAccountPatch{Disabled: ptr(true)}, wait)
			return err
		}, seen{method: "PATCH", path: "/v1/service-accounts/sa_1", query: "wait=2s", body: `{"disabled":true}`,
			ifMatch: `"7"`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.DeleteServiceAccount(ctx, "sa_1", wait)
			return err
		}, seen{method: "DELETE", path: "/v1/service-accounts/sa_1", query: "wait=2s"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ServiceAccountRoles(ctx, "sa_1", ListOptions{})
			return err
		}, seen{method: "GET", path: "/v1/service-accounts/sa_1/roles"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.AssignServiceAccountRole(ctx, "sa_1", "role_1", GrantRequest{})
			return err
		}, seen{method: "PUT", path: "/v1/service-accounts/sa_1/roles/role_1", body: `{}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UnassignServiceAccountRole(ctx, "sa_1", "role_1", "", 0)
			return err
		}, seen{method: "DELETE", path: "/v1/service-accounts/sa_1/roles/role_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.Tokens(ctx, "sa_1", ListOptions{Limit: 1})
			return err
		}, seen{method: "GET", path: "/v1/service-accounts/sa_1/tokens", query: "limit=1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.RevokeToken(ctx, "sa_1", "a/b?c", 0)
			return err
		}, seen{method: "DELETE", path: "/v1/service-accounts/sa_1/tokens/a%2Fb%3Fc"}},
		{func(ctx context.Context, c *Client) error { _, err := c.RevokeTokens(ctx, "sa_1", wait); return err },
			seen{method: "POST", path: "/v1/service-accounts/sa_1/revoke-tokens", query: "wait=2s"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateSecret(ctx, "sa_1", NewSecretRequest{Description: "d"})
			return err
		}, seen{method: "POST", path: "/v1/service-accounts/sa_1/secrets", body: `{"description":"d"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.Secrets(ctx, "sa_1"); return err },
			seen{method: "GET", path: "/v1/service-accounts/sa_1/secrets"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateSecret(ctx, "sa_1", "sec_1", SecretPatch{ClearExpiresAt: true})
			return err
		}, seen{method: "PATCH", path: "/v1/service-accounts/sa_1/secrets/sec_1", body: `{"expires_at":null}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateSecret(ctx, "sa_1", "sec_1", SecretPatch{Description: ptr(""), ExpiresAt: &at})
			return err
		}, seen{method: "PATCH", path: "/v1/service-accounts/sa_1/secrets/sec_1",
			body: `{"description":"","expires_at":"2026-01-02T03:04:05+01:00"}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.DeleteSecret(ctx, "sa_1", "sec_1", true, wait)
			return err
		}, seen{method: "DELETE", path: "/v1/service-accounts/sa_1/secrets/sec_1",
			query: "revoke_tokens=true&wait=2s"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.DeleteSecret(ctx, "sa_1", "sec_1", false, 0)
			return err
		}, seen{method: "DELETE", path: "/v1/service-accounts/sa_1/secrets/sec_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateApplicationKey(ctx, NewApplicationKey{Description: "laptop"})
			return err
		}, seen{method: "POST", path: "/v1/application-keys", body: `{"description":"laptop"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.ApplicationKey(ctx, "ak_1"); return err },
			seen{method: "GET", path: "/v1/application-keys/ak_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ApplicationKeys(ctx, ListOptions{})
			return err
		}, seen{method: "GET", path: "/v1/application-keys"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ApplicationKeys(ctx, ListOptions{Member: "mem_1"})
			return err
		}, seen{method: "GET", path: "/v1/application-keys", query: "member=mem_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.DeleteApplicationKey(ctx, "ak_1", 0)
			return err
		}, seen{method: "DELETE", path: "/v1/application-keys/ak_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.InviteMember(ctx, NewMember{Email: "a@example.com", FirstName: "A", LastName: "B"})
			return err
		},
			seen{method: "POST", path: "/v1/members",
				body: `{"email":"a@example.com","first_name":"A","last_name":"B"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.Member(ctx, "mem_1"); return err },
			seen{method: "GET", path: "/v1/members/mem_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.Members(ctx, ListOptions{Name: "ignored"})
			return err
		}, seen{method: "GET", path: "/v1/members"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateMember(ctx, "mem_1", 0, MemberPatch{Suspended: ptr(false)}, 0)
			return err
		}, seen{method: "PATCH", path: "/v1/members/mem_1", body: `{"suspended":false}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.ResetMember(ctx, "mem_1"); return err },
			seen{method: "POST", path: "/v1/members/mem_1/reset"}},
		{func(ctx context.Context, c *Client) error { _, err := c.DeleteMember(ctx, "mem_1", 0); return err },
			seen{method: "DELETE", path: "/v1/members/mem_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.AssignMemberRole(ctx, "mem_1", "role_1",
				GrantRequest{ID: "grt_1", ExpiresAt: new(time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC))})
			return err
		}, seen{method: "PUT", path: "/v1/members/mem_1/roles/role_1",
			body: `{"id":"grt_1","expires_at":"2027-01-01T00:00:00Z"}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UnassignMemberRole(ctx, "mem_1", "role_1", "", 0)
			return err
		}, seen{method: "DELETE", path: "/v1/members/mem_1/roles/role_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateRole(ctx, NewRole{Name: "r", Privileges: []string{"a:b"}})
			return err
		}, seen{method: "POST", path: "/v1/roles", body: `{"name":"r","privileges":["a:b"]}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.Role(ctx, "role_1"); return err },
			seen{method: "GET", path: "/v1/roles/role_1"}},
		{func(ctx context.Context, c *Client) error { _, err := c.Roles(ctx, ListOptions{}); return err },
			seen{method: "GET", path: "/v1/roles"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateRole(ctx, "role_1", 3, RolePatch{Privileges: &[]string{}}, 0)
			return err
		}, seen{method: "PATCH", path: "/v1/roles/role_1", body: `{"privileges":[]}`, ifMatch: `"3"`}},
		{func(ctx context.Context, c *Client) error { _, err := c.DeleteRole(ctx, "role_1", 0); return err },
			seen{method: "DELETE", path: "/v1/roles/role_1"}},
		{func(ctx context.Context, c *Client) error { _, err := c.APIs(ctx, ListOptions{}); return err },
			seen{method: "GET", path: "/v1/apis"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.Privileges(ctx, ListOptions{Limit: 200})
			return err
		}, seen{method: "GET", path: "/v1/privileges", query: "limit=200"}},
		{func(ctx context.Context, c *Client) error { _, err := c.Organization(ctx); return err },
			seen{method: "GET", path: "/v1/organization"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateOrganization(ctx, 2, OrganizationPatch{ServiceAccountsMayManageAccess: ptr(true)})
			return err
		}, seen{method: "PATCH", path: "/v1/organization", body: `{"service_accounts_may_manage_access":true}`,
			ifMatch: `"2"`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.CreateOrganization(ctx, NewOrganization{Name: "o", AdminEmail: "a@example.com"})
			return err
		}, seen{method: "POST", path: "/v1/organizations", body: `{"name":"o","admin_email":"a@example.com"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.OrganizationByID(ctx, "org_1"); return err },
			seen{method: "GET", path: "/v1/organizations/org_1"}},
		{func(ctx context.Context, c *Client) error { _, err := c.Organizations(ctx, ListOptions{}); return err },
			seen{method: "GET", path: "/v1/organizations"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.UpdateOrganizationByID(ctx, "org_1", 0, OrganizationPatch{Name: ptr("n")})
			return err
		}, seen{method: "PATCH", path: "/v1/organizations/org_1", body: `{"name":"n"}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.DeleteOrganization(ctx, "org_1", 0)
			return err
		}, seen{method: "DELETE", path: "/v1/organizations/org_1"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.AuditEvents(ctx, AuditFilter{ListOptions: ListOptions{Limit: 9}, Actor: "mem_1", Target: "sa_1",
				Action: "x.y", Since: at, Until: at, Order: OrderAscending, After: "evt_1"})
			return err
		}, seen{method: "GET", path: "/v1/audit-events",
			query: "action=x.y&actor=mem_1&after=evt_1&limit=9&order=asc&since=2026-01-02T02%3A04%3A05Z&target=sa_1" +
				"&until=2026-01-02T02%3A04%3A05Z"}},
		{func(ctx context.Context, c *Client) error { _, err := c.SigningKeys(ctx); return err },
			seen{method: "GET", path: "/v1/signing-keys"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.RotateSigningKeys(ctx, KeyRotation{})
			return err
		},
			seen{method: "POST", path: "/v1/signing-keys/rotate", body: `{}`}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.RotateSigningKeys(ctx, KeyRotation{Algorithm: "RS256"})
			return err
		}, seen{method: "POST", path: "/v1/signing-keys/rotate", body: `{"algorithm":"RS256"}`}},
		{func(ctx context.Context, c *Client) error { _, err := c.RevokeSigningKey(ctx, "k1"); return err },
			seen{method: "POST", path: "/v1/signing-keys/k1/revoke"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.ResourceServers(ctx, ListOptions{})
			return err
		}, seen{method: "GET", path: "/v1/resource-servers"}},
		{func(ctx context.Context, c *Client) error { _, err := c.Me(ctx); return err },
			seen{method: "GET", path: "/v1/me"}},
		{func(ctx context.Context, c *Client) error {
			_, err := c.Explain(ctx, ExplainRequest{ClientID: "sa_1", Privilege: "a:b", Audience: "https://x"})
			return err
		},
			seen{method: "POST", path: "/v1/explain",
				body: `{"client_id":"sa_1","privilege":"a:b","audience":"https://x"}`}},
	} {
		t.Run(test.want.method+" "+test.want.path, func(t *testing.T) {
			c, requests := answering(t, ClientConfig{URL: "/under/a/path/", UserAgent: "ua"},
				says(200, "Content-Type", "application/json", "{}"))
			require.NoError(t, test.call(t.Context(), c))
			want := test.want
			want.path, want.userAgent = "/under/a/path"+want.path, "ua"
			if want.body != "" {
				want.contentType = "application/json"
			}
			require.Equal(t, []seen{want}, *requests)
		})
	}
}
