package provider

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/setvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// accessToken is the ephemeral resource svcauth_access_token: a token for
// something else in the same run, revoked at the end of it.
type accessToken struct{ connectedEphemeral }

type accessTokenModel struct {
	ClientID      types.String `tfsdk:"client_id"`
	ClientSecret  types.String `tfsdk:"client_secret"`
	Scopes        types.Set    `tfsdk:"scopes"`
	Resources     types.Set    `tfsdk:"resources"`
	RevokeOnClose types.Bool   `tfsdk:"revoke_on_close"`
	AccessToken   types.String `tfsdk:"access_token"`
	GrantedScopes types.String `tfsdk:"granted_scopes"`
	ExpiresAt     types.String `tfsdk:"expires_at"`
}

// openedToken is an access token in use. It never leaves this process:
// Terraform carries only its name from Open to Close.
type openedToken struct {
	tokens *tokensource.Source
	access string
	expiry time.Time
	revoke bool
}

const openedKey = "opened"

func (a *accessToken) Metadata(_ context.Context, _ ephemeral.MetadataRequest, resp *ephemeral.MetadataResponse) {
	resp.TypeName = "svcauth_access_token"
}

func (a *accessToken) Schema(_ context.Context, _ ephemeral.SchemaRequest, resp *ephemeral.SchemaResponse) {
	both := func(other string) []validator.String {
		return []validator.String{stringvalidator.AlsoRequires(path.MatchRoot(other))}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: "An access token for another provider or program of the same run: " +
			"of the provider's own credential, or of a given one. " +
			"Each plan and apply gets its own and gives it back at the end. " +
			"Terraform can't exchange a value that it has handed on: the token lives for as long as the client's " +
			"`token_ttl_seconds` says.",
		Attributes: map[string]schema.Attribute{
			"client_id": schema.StringAttribute{
				Optional:            true,
				Validators:          both("client_secret"),
				MarkdownDescription: "Whose token. Left out: the provider's own.",
			},
			"client_secret": schema.StringAttribute{
				Optional:            true,
				Sensitive:           true,
				Validators:          both("client_id"),
				MarkdownDescription: "That client's secret.",
			},
			"scopes": schema.SetAttribute{
				Optional:    true,
				ElementType: types.StringType,
				Validators:  []validator.Set{setvalidator.SizeAtLeast(1)},
				MarkdownDescription: "Privileges to ask for. Left out: all that the client has of the APIs; " +
					"of the server itself only with its issuer among `resources`.",
			},
			"resources": schema.SetAttribute{
				Optional:            true,
				ElementType:         types.StringType,
				MarkdownDescription: "Audiences of the APIs to which the token is limited (RFC 8707).",
			},
			"revoke_on_close": schema.BoolAttribute{
				Optional: true,
				MarkdownDescription: "Whether the token is revoked when the run no longer needs it. Default: true. " +
					"Set it to false where something outside of the run goes on using the token.",
			},
			"access_token": schema.StringAttribute{
				Computed:            true,
				Sensitive:           true,
				MarkdownDescription: "The token.",
			},
			"granted_scopes": schema.StringAttribute{
				Computed:            true,
				MarkdownDescription: "What it was given, separated by spaces.",
			},
			"expires_at": schema.StringAttribute{Computed: true, MarkdownDescription: "When it expires."},
		},
	}
}

func (a *accessToken) Open(ctx context.Context, req ephemeral.OpenRequest, resp *ephemeral.OpenResponse) {
	var m accessTokenModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() || a.begin(&resp.Diagnostics, "Getting an access token failed") == nil {
		return
	}
	config := a.config // of its own: the provider's token is for the server itself
	if !m.ClientID.IsNull() {
		config = tokensource.Config{ // nothing of the provider's own credential
			Issuer:       config.Issuer,
			ClientID:     m.ClientID.ValueString(),
			ClientSecret: svcauth.Secret(m.ClientSecret.ValueString()),
			HTTPClient:   config.HTTPClient,
			UserAgent:    config.UserAgent,
			MaxRetries:   config.MaxRetries,
		}
	}
	config.Fresh = true // it is revoked in the end
	config.DPoP = false // others are to use it, without the key
	config.Scopes, config.Resource = texts(m.Scopes), texts(m.Resources)
	tokens, err := tokensource.New(config)
	if err != nil {
		a.fail(&resp.Diagnostics, "Getting an access token failed", err)
		return
	}
	token, err := tokens.Token(ctx)
	if err != nil {
		_ = tokens.Close()
		a.fail(&resp.Diagnostics, "Getting an access token failed", err)
		return
	}
	id := svcauth.NewID("opened")
	opened := &openedToken{tokens, token.AccessToken, token.Expiry, m.RevokeOnClose.IsNull() ||
		m.RevokeOnClose.ValueBool()}
	a.mu.Lock()
	a.opened[id] = opened
	a.mu.Unlock()
	scope, _ := token.Extra("scope").(string)
	m.AccessToken = types.StringValue(token.AccessToken)
	m.GrantedScopes = types.StringValue(scope)
	m.ExpiresAt = stamp(token.Expiry)
	resp.Diagnostics.Append(resp.Result.Set(ctx, m)...)
	name, _ := json.Marshal(id)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, openedKey, name)...)
	resp.RenewAt = opened.nextLook(time.Now())
}

// nextLook returns when to check the token again: half-way to its expiry, so
// that a revoked or dying token is noticed. It returns the zero time if the
// token is about to expire.
func (o *openedToken) nextLook(now time.Time) time.Time {
	left := o.expiry.Sub(now)
	if left < 10*time.Second {
		return time.Time{}
	}
	return now.Add(left / 2)
}

// kept returns the token that Open stored, and its name.
func (a *accessToken) kept(
	ctx context.Context, d *diagnostics, private privateData,
) (id string, o *openedToken) {
	raw, more := private.GetKey(ctx, openedKey)
	d.Append(more...)
	if json.Unmarshal(raw, &id) != nil || a.connection == nil {
		return "", nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return id, a.opened[id]
}

// Renew checks that the token is still valid, and warns if it is about to
// expire. It can't replace the token: Terraform has handed on its value.
func (a *accessToken) Renew(ctx context.Context, req ephemeral.RenewRequest, resp *ephemeral.RenewResponse) {
	_, o := a.kept(ctx, &resp.Diagnostics, req.Private)
	if o == nil {
		return
	}
	active, err := o.tokens.Active(ctx, o.access)
	resp.RenewAt = o.nextLook(time.Now())
	switch {
	case err != nil:
		resp.Diagnostics.AddWarning("The access token could not be looked at", a.explain(err))
	case !active:
		resp.Diagnostics.AddError("The access token is no longer good",
			"It was revoked, or has expired, while the run was using it.")
	case resp.RenewAt.IsZero():
		resp.Diagnostics.AddWarning("The access token is about to expire", fmt.Sprintf(
			"It expires at %s, and Terraform can't hand on another one within a run. "+
				"Give its client a longer token_ttl_seconds.", o.expiry.UTC().Format(time.RFC3339)))
	}
}

// Close revokes the token, unless revoke_on_close is false.
func (a *accessToken) Close(ctx context.Context, req ephemeral.CloseRequest, resp *ephemeral.CloseResponse) {
	id, o := a.kept(ctx, &resp.Diagnostics, req.Private)
	if o == nil {
		return
	}
	a.mu.Lock()
	delete(a.opened, id)
	a.mu.Unlock()
	defer func() { _ = o.tokens.Close() }()
	if !o.revoke {
		return
	}
	if err := o.tokens.Revoke(ctx, o.access); err != nil {
		resp.Diagnostics.AddWarning("An access token was not given back",
			fmt.Sprintf("It works until %s. %s", o.expiry.UTC().Format(time.RFC3339), a.explain(err)))
	}
}

var (
	_ ephemeral.EphemeralResourceWithConfigure = (*accessToken)(nil)
	_ ephemeral.EphemeralResourceWithRenew     = (*accessToken)(nil)
	_ ephemeral.EphemeralResourceWithClose     = (*accessToken)(nil)
)
