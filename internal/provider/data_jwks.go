package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/jwk"
)

// jwksData is the data source svcauth_jwks: the public keys that verify tokens.
// Reading them needs the server's address but no credential.
type jwksData struct{ connectedData }

type jwksView struct {
	Issuer types.String `tfsdk:"issuer"`
	JSON   types.String `tfsdk:"json"`
	Keys   []jwkView    `tfsdk:"keys"`
}

type jwkView struct {
	KID       types.String `tfsdk:"kid"`
	Type      types.String `tfsdk:"kty"`
	Algorithm types.String `tfsdk:"alg"`
	Use       types.String `tfsdk:"use"`
}

const jwksTimeout = 30 * time.Second

func (s *jwksData) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = "svcauth_jwks"
}

func (s *jwksData) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "The public keys that verify the server's tokens (RFC 7517), for gateways that are " +
			"given them as configuration. " +
			"Keys rotate: what is copied grows old, so prefer to have the gateway fetch them.",
		Attributes: map[string]schema.Attribute{
			"issuer": computed("The issuer whose keys these are."),
			"json":   computed("The key set as the server published it."),
			"keys": schema.ListNestedAttribute{
				Computed:            true,
				MarkdownDescription: "The keys in it.",
				NestedObject: schema.NestedAttributeObject{Attributes: map[string]schema.Attribute{
					"kid": computed("The key's id."),
					"kty": computed("`EC`, `RSA` or `OKP`."),
					"alg": computed("Such as `ES256`."),
					"use": computed("`sig`."),
				}},
			},
		},
	}
}

func (s *jwksData) Read(ctx context.Context, _ datasource.ReadRequest, resp *datasource.ReadResponse) {
	_, err := s.use()
	if s.config.Issuer != "" { // it does without the rest
		if err = httpx.CheckIssuer(s.config.Issuer); err != nil {
			err = fmt.Errorf("the issuer %w", err)
		}
	}
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the keys failed", err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, jwksTimeout)
	defer cancel()
	raw, err := s.fetch(ctx, s.config.Issuer+"/.well-known/jwks.json")
	if err != nil {
		s.fail(&resp.Diagnostics, "Reading the keys failed",
			fmt.Errorf("%s/.well-known/jwks.json: %w", s.config.Issuer, err))
		return
	}
	var set struct {
		Keys []jwk.Key
	}
	if json.Unmarshal(raw, &set) != nil || set.Keys == nil {
		s.fail(&resp.Diagnostics, "Reading the keys failed",
			errors.New("the answer is no JSON Web Key Set (RFC 7517 §5); check url"))
		return
	}
	v := jwksView{Issuer: types.StringValue(s.config.Issuer), JSON: types.StringValue(string(raw)), Keys: []jwkView{}}
	for _, k := range set.Keys {
		v.Keys = append(v.Keys,
			jwkView{types.StringValue(k.Kid), types.StringValue(k.Kty), types.StringValue(k.Alg),
				types.StringValue(k.Use)})
	}
	resp.Diagnostics.Append(resp.State.Set(ctx, v)...)
}

func (s *jwksData) fetch(ctx context.Context, address string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", s.userAgent)
	req.Header.Set("Accept", "application/json")
	res, err := s.config.HTTPClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server answered %s; redirects are not followed", res.Status)
	}
	return httpx.ReadAll(res.Body, jwk.MaxSetSize)
}
