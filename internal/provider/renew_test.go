package provider

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// plugin is the provider as Terraform speaks to it, for what a short run never
// asks: the renewal of an ephemeral token.
type plugin struct {
	tfprotov6.ProviderServer
	t     *testing.T
	token tftypes.Type
}

func newPlugin(t *testing.T, s *svctest.Server) *plugin {
	t.Helper()
	server, err := providerserver.NewProtocol6WithError(New("1.2.3")())()
	require.NoError(t, err)
	schemas, err := server.GetProviderSchema(t.Context(), &tfprotov6.GetProviderSchemaRequest{})
	require.NoError(t, err)
	p := &plugin{server, t, schemas.EphemeralResourceSchemas["svcauth_access_token"].ValueType()}
	key := s.Tenant.ApplicationKey
	answer, err := server.ConfigureProvider(t.Context(), &tfprotov6.ConfigureProviderRequest{
		TerraformVersion: "1.11.4",
		Config: p.object(schemas.Provider.ValueType(), map[string]string{
			"url":           s.URL,
			"client_id":     key.ClientID,
			"client_secret": key.ClientSecret.Reveal(),
		}),
	})
	require.NoError(t, err)
	require.Empty(t, answer.Diagnostics)
	return p
}

// object has the texts that are given; everything else in it is null.
func (p *plugin) object(of tftypes.Type, texts map[string]string) *tfprotov6.DynamicValue {
	p.t.Helper()
	values := map[string]tftypes.Value{}
	for name, kind := range of.(tftypes.Object).AttributeTypes {
		values[name] = tftypes.NewValue(kind, nil)
		if text, ok := texts[name]; ok {
			values[name] = tftypes.NewValue(tftypes.String, text)
		}
	}
	value, err := tfprotov6.NewDynamicValue(of, tftypes.NewValue(of, values))
	require.NoError(p.t, err)
	return &value
}

func (p *plugin) open(texts map[string]string) (token string, answer *tfprotov6.OpenEphemeralResourceResponse) {
	p.t.Helper()
	server := p.ProviderServer.(tfprotov6.EphemeralResourceServer)
	answer, err := server.OpenEphemeralResource(p.t.Context(), &tfprotov6.OpenEphemeralResourceRequest{
		TypeName: "svcauth_access_token",
		Config:   p.object(p.token, texts),
	})
	require.NoError(p.t, err)
	require.Empty(p.t, answer.Diagnostics)
	value, err := answer.Result.Unmarshal(p.token)
	require.NoError(p.t, err)
	all := map[string]tftypes.Value{}
	require.NoError(p.t, value.As(&all))
	require.NoError(p.t, all["access_token"].As(&token))
	return token, answer
}

// TestAccessTokenIsRenewedAndClosed checks that a token in use is looked at
// half-way to its expiry, and that the run fails if it was revoked. Closed, it
// is given back.
func TestAccessTokenIsRenewedAndClosed(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	a := s.Account("a", "clusters:view")
	p := newPlugin(t, s)
	server := p.ProviderServer.(tfprotov6.EphemeralResourceServer)
	token, opened := p.open(map[string]string{"client_id": a.ClientID, "client_secret": a.ClientSecret.Reveal()})
	require.NotContains(t, string(opened.Private), token, "what Terraform carries along is a name")
	require.False(t, opened.RenewAt.IsZero())
	renew := func() *tfprotov6.RenewEphemeralResourceResponse {
		answer, err := server.RenewEphemeralResource(t.Context(), &tfprotov6.RenewEphemeralResourceRequest{
			TypeName: "svcauth_access_token",
			Private:  opened.Private,
		})
		require.NoError(t, err)
		return answer
	}
	closing := func(ctx context.Context) {
		answer, err := server.CloseEphemeralResource(ctx, &tfprotov6.CloseEphemeralResourceRequest{
			TypeName: "svcauth_access_token",
			Private:  opened.Private,
		})
		require.NoError(t, err)
		require.Empty(t, answer.Diagnostics)
	}
	good := renew()
	require.Empty(t, good.Diagnostics)
	require.False(t, good.RenewAt.Before(opened.RenewAt), "the next look is later")

	_, err := s.Admin().RevokeTokens(t.Context(), a.ID, 0)
	require.NoError(t, err)
	bad := renew()
	require.Len(t, bad.Diagnostics, 1)
	require.Equal(t, "The access token is no longer good", bad.Diagnostics[0].Summary)
	closing(t.Context())
	require.Empty(t, renew().Diagnostics, "closed: nothing to look at")

	token, opened = p.open(map[string]string{"client_id": a.ClientID, "client_secret": a.ClientSecret.Reveal()})
	require.True(t, s.Active(a.ClientID, a.ClientSecret, token))
	closing(t.Context())
	require.False(t, s.Active(a.ClientID, a.ClientSecret, token))
}
