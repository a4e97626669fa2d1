package svcauth

import (
	"encoding/json"
	"fmt"
	"time"
)

// The presets of a federated credential: what kind of issuer it trusts. A
// preset fills in what is the same for each credential of its kind, and knows
// which of them could be taken over.
const (
	PresetGitHub       = "github"
	PresetGitLab       = "gitlab"
	PresetKubernetes   = "kubernetes"
	PresetHCPTerraform = "hcp-terraform"
	PresetSPIFFE       = "spiffe"
	PresetAWS          = "aws"
	PresetAzure        = "azure"
	PresetGoogle       = "google"
)

// FederatedPresets returns the presets, in the order in which they are offered.
func FederatedPresets() []string {
	return []string{
		PresetGitHub, PresetGitLab, PresetKubernetes, PresetHCPTerraform, PresetSPIFFE, PresetAWS, PresetAzure,
		PresetGoogle,
	}
}

// The limits of a federated credential.
const (
	MaxFederatedClaims        = 20    // that one may ask for
	MaxFederatedText          = 2048  // bytes of a subject, a claim, an address
	MaxFederatedKeySet        = 65536 // bytes of a key set
	MaxFederatedAgeSeconds    = 86400
	MaxFederatedTTLSeconds    = 3600
	DefaultFederatedAge       = 3600 // seconds
	MaxFederatedTestAssertion = 14 << 10
)

// FederatedCredential lets a service account prove who it is by a token of
// another issuer, such as that of a job of GitHub Actions or of a pod: a token
// that is signed by the issuer and has exactly these values.
type FederatedCredential struct {
	ID          string            `json:"id" doc:"Its id, which its tokens have as cred"`
	Name        string            `json:"name" doc:"The name, unique in its service account"`
	Description string            `json:"description" doc:"For people"`
	Preset      string            `json:"preset" doc:"What kind of issuer it is: github, gitlab, kubernetes, hcp-terraform, spiffe, aws, azure, google; empty: any other"`
	Issuer      string            `json:"issuer" doc:"The iss of its tokens, to the letter; of SPIFFE it may be spiffe:// and the trust domain"`
	Audience    string            `json:"audience" doc:"The only aud of its tokens"`
	Subject     string            `json:"subject" doc:"The sub of its tokens; empty: any, an id among the claims says whose they are"`
	Claims      map[string]string `json:"claims" doc:"What further claims its tokens have, each exactly this text. A name that begins with / is a JSON pointer (RFC 6901) into nested ones"`
	JWKS        json.RawMessage   `json:"jwks,omitempty" doc:"The issuer's key set (RFC 7517 §5) as it was given; absent: it is fetched"`
	JWKSURI     string            `json:"jwks_uri,omitempty" doc:"Where the issuer's key set is; absent, and no jwks: the issuer's OpenID discovery says it"`
	Algorithms  []string          `json:"algorithms" doc:"The algorithms that its tokens may be signed with"`
	MaxAge      int               `json:"max_age_seconds" doc:"How old its tokens may be, in seconds; without iat: how far off their exp"`
	OneTime     bool              `json:"one_time" doc:"Each of its tokens works once, and must have a jti"`
	Privileges  []string          `json:"privileges,omitempty" doc:"What the tokens that are got by it carry at most; absent: all that the account's roles grant"`
	TTLSeconds  int               `json:"token_ttl_seconds" doc:"How long the tokens that are got by it live at most, in seconds; 0: no longer than the issuer's token"`
	CreatedAt   time.Time         `json:"created_at" doc:"When it was made"`
	CreatedBy   Creator           `json:"created_by" doc:"Who made it; both fields are empty where that is not known"`
	ExpiresAt   *time.Time        `json:"expires_at" doc:"When it expires; null: never"`
	LastUsedAt  *time.Time        `json:"last_used_at" doc:"When it was last used, right within five minutes; null: never"`
	// Warnings say by what others could come to have tokens with these values.
	Warnings []FederatedWarning `json:"warnings" doc:"By what others could come to have tokens that fit it"`
}

// FederatedWarning is one way in which others could come to have tokens that
// fit a federated credential.
type FederatedWarning struct {
	Code    string `json:"code" doc:"Which one: a stable word"`
	Message string `json:"message" doc:"What could happen, and what to add"`
}

// String returns the message.
func (w FederatedWarning) String() string { return w.Message }

// NewFederatedCredential is the body of POST
// /v1/service-accounts/{id}/federated-credentials.
type NewFederatedCredential struct {
	Name        string            `json:"name" minLength:"1" maxLength:"64" doc:"The name, unique in its service account"`
	Description string            `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Preset      string            `json:"preset,omitempty" enum:"github,gitlab,kubernetes,hcp-terraform,spiffe,aws,azure,google" doc:"What kind of issuer it is: fills in what is absent, and warns"`
	Issuer      string            `json:"issuer,omitempty" maxLength:"2048" doc:"The iss of its tokens, to the letter; absent: that of the preset"`
	Audience    string            `json:"audience,omitempty" maxLength:"2048" doc:"The only aud of its tokens; absent: this server's issuer"`
	Subject     string            `json:"subject,omitempty" maxLength:"2048" doc:"The sub of its tokens; absent: any, then an id must be among the claims"`
	Claims      map[string]string `json:"claims,omitempty" doc:"What further claims its tokens must have, each exactly this text. A name that begins with / is a JSON pointer (RFC 6901) into nested ones"`
	JWKS        json.RawMessage   `json:"jwks,omitempty" doc:"The issuer's key set (RFC 7517 §5), if it can't be fetched"`
	JWKSURI     string            `json:"jwks_uri,omitempty" maxLength:"2048" doc:"Where the issuer's key set is, if it has no OpenID discovery"`
	Algorithms  []string          `json:"algorithms,omitempty" maxItems:"16" doc:"The algorithms that its tokens may be signed with; absent: RS256, ES256 and the preset's others"`
	MaxAge      int               `json:"max_age_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How old its tokens may be, in seconds; 0 or absent: 3600, or the preset's"`
	OneTime     bool              `json:"one_time,omitempty" doc:"Each of its tokens works once, and must have a jti"`
	Privileges  []string          `json:"privileges,omitempty" maxItems:"500" doc:"What the tokens that are got by it carry at most; absent: all that the account's roles grant"`
	TTLSeconds  int               `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"3600" doc:"How long the tokens that are got by it live at most, in seconds; 0 or absent: no longer than the issuer's token"`
	ExpiresAt   *time.Time        `json:"expires_at,omitempty" doc:"When it expires; null or absent: never"`
	Caution
}

// FederatedCredentialPatch changes the fields that are not nil. In JSON null
// takes expires_at, privileges, jwks and jwks_uri away: ClearExpiresAt and its
// siblings.
type FederatedCredentialPatch struct {
	Name        *string            `json:"name,omitempty" minLength:"1" maxLength:"64" doc:"The name, unique in its service account"`
	Description *string            `json:"description,omitempty" maxLength:"256" doc:"For people"`
	Issuer      *string            `json:"issuer,omitempty" maxLength:"2048" doc:"The iss of its tokens, to the letter; empty: that of the preset"`
	Audience    *string            `json:"audience,omitempty" maxLength:"2048" doc:"The only aud of its tokens; empty: this server's issuer"`
	Subject     *string            `json:"subject,omitempty" maxLength:"2048" doc:"The sub of its tokens; empty: any"`
	Claims      *map[string]string `json:"claims,omitempty" doc:"What further claims its tokens must have: all of them, in place of those before"`
	JWKS        json.RawMessage    `json:"jwks,omitempty" doc:"The issuer's key set; null: it is fetched"`
	JWKSURI     *string            `json:"jwks_uri,omitempty" nullable:"true" maxLength:"2048" doc:"Where the issuer's key set is; null: the issuer's discovery says it"`
	Algorithms  *[]string          `json:"algorithms,omitempty" maxItems:"16" doc:"The algorithms that its tokens may be signed with; none: the preset's"`
	MaxAge      *int               `json:"max_age_seconds,omitempty" minimum:"0" maximum:"86400" doc:"How old its tokens may be, in seconds; 0: the preset's"`
	OneTime     *bool              `json:"one_time,omitempty" doc:"Each of its tokens works once, and must have a jti"`
	Privileges  *[]string          `json:"privileges,omitempty" nullable:"true" maxItems:"500" doc:"What the tokens that are got by it carry at most; null: all that the account's roles grant"`
	TTLSeconds  *int               `json:"token_ttl_seconds,omitempty" minimum:"0" maximum:"3600" doc:"How long the tokens that are got by it live at most, in seconds; 0: no longer than the issuer's token"`
	ExpiresAt   *time.Time         `json:"expires_at,omitempty" nullable:"true" doc:"When it expires; null takes the expiry away"`
	Caution

	ClearExpiresAt  bool `json:"-"`
	ClearPrivileges bool `json:"-"`
	ClearJWKS       bool `json:"-"`
	ClearJWKSURI    bool `json:"-"`
}

// patchFields is the patch as encoding/json reads it: without its methods.
type patchFields FederatedCredentialPatch

// MarshalJSON writes null for what is taken away.
func (p FederatedCredentialPatch) MarshalJSON() ([]byte, error) {
	text, err := json.Marshal(patchFields(p))
	if err != nil {
		return nil, err
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return nil, err
	}
	for name, cleared := range p.cleared() {
		if _, given := fields[name]; !given && *cleared {
			fields[name] = json.RawMessage("null")
		}
	}
	return json.Marshal(fields)
}

// UnmarshalJSON notes which fields are null, as opposed to absent.
func (p *FederatedCredentialPatch) UnmarshalJSON(text []byte) error {
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	var read patchFields
	if err := json.Unmarshal(text, &read); err != nil {
		return fmt.Errorf("read the change of a federated credential: %w", err)
	}
	*p = FederatedCredentialPatch(read)
	for name, cleared := range p.cleared() {
		*cleared = string(fields[name]) == "null"
	}
	if p.ClearJWKS {
		p.JWKS = nil
	}
	return nil
}

func (p *FederatedCredentialPatch) cleared() map[string]*bool {
	return map[string]*bool{
		"expires_at": &p.ClearExpiresAt, "privileges": &p.ClearPrivileges, "jwks": &p.ClearJWKS,
		"jwks_uri": &p.ClearJWKSURI,
	}
}

// FederatedTest is the body of POST /v1/federated-credentials/test: a token of
// another issuer, or only its claims.
type FederatedTest struct {
	Assertion string          `json:"assertion,omitempty" maxLength:"14336" doc:"A token of another issuer, whole"`
	Claims    json.RawMessage `json:"claims,omitempty" doc:"Only its claims: an object. Header, keys and signature are not looked at then"`
	ClientID  string          `json:"client_id,omitempty" maxLength:"64" doc:"Of the service account whose credentials are tried; absent: those of the organization"`
}

// String returns the request without its assertion, so that fmt does not print
// that.
func (t FederatedTest) String() string { return "test federated credentials of " + t.ClientID }

// GoString returns String, so that %#v does not print the assertion.
func (t FederatedTest) GoString() string { return t.String() }

// FederatedTestResult says which federated credentials a token would fit.
// Nothing is issued.
type FederatedTestResult struct {
	Credentials []FederatedTestMatch `json:"credentials" doc:"Those that fit first, then the nearest"`
	More        bool                 `json:"more" doc:"The organization has more than were tried: name a client_id"`
}

// FederatedTestMatch is whether a token would fit one credential, or the first
// rule that it fails.
type FederatedTestMatch struct {
	ServiceAccount Ref    `json:"service_account" doc:"Whose credential it is"`
	CredentialID   string `json:"credential_id" doc:"The credential's id"`
	Name           string `json:"name" doc:"The credential's name"`
	Matches        bool   `json:"matches" doc:"Whether it fits"`
	Rule           string `json:"rule" doc:"The first rule that it fails; empty: none"`
	Expected       string `json:"expected" doc:"What the rule expects"`
	Got            string `json:"got" doc:"What the token has instead"`
}
