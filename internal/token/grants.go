package token

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/clientauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/untrusted"
)

// grant is one way to a token (RFC 6749 §1.3). It decides what the token
// carries, and has it minted by [issuance.mint]: there is no other way.
type grant interface {
	issue(context.Context, *issuance) *oautherr.Error
}

// newGrants returns the grants by their grant_type.
func newGrants(s *Service) map[string]grant {
	return map[string]grant{
		grantClientCredentials: newClientCredentials(s),
		GrantTokenExchange:     tokenExchange{s},
	}
}

// GrantTypes returns the supported values of grant_type, sorted, for the
// metadata.
func (s *Service) GrantTypes() []string { return slices.Sorted(maps.Keys(s.grants)) }

// Request is a token request of an authenticated client, RFC 6749 §4.4.2 and
// RFC 8707 §2.
type Request struct {
	GrantType string
	Scope     string
	Resources []string // resource and audience alike
	IP        string
	UserAgent string // as it was sent: it may have a secret in it

	Fresh bool // a token of its own, though token.reuse would give one out again

	WantedType string // requested_token_type of RFC 8693 §2.1, that [CheckExchange] has let pass

	// Proofs are the values of the header field DPoP (RFC 9449 §5): none, and
	// the token is not bound to a key. Method and Path are of the request.
	Proofs       []string
	Method, Path string
}

// TokenResponse is the answer, RFC 6749 §5.1.
type TokenResponse struct {
	AccessToken string // never logged
	ExpiresIn   int64  // seconds
	Scope       string
	JTI         string
	IssuedType  string // issued_token_type of RFC 8693 §2.2.1; empty: it is no exchange
	Type        string // token_type
	Bound       string // what the token is bound to, for the log: [BoundKey] …, or empty
	Reused      bool   // it was given out before
	Nonce       string // for the client's next proof, as DPoP-Nonce; may be empty
}

// issuance is one token request on its way through its grant.
type issuance struct {
	service  *Service
	client   clientauth.Authentication
	holder   *holder
	request  Request
	decision decision
	response TokenResponse // of mint
}

// Issue returns a token for an authenticated client.
func (s *Service) Issue(
	ctx context.Context, client clientauth.Authentication, r Request,
) (TokenResponse, *oautherr.Error) {
	grant, refusal := s.grant(r.GrantType)
	if refusal != nil {
		return TokenResponse{}, refusal
	}
	holder, refusal := s.proven(ctx, client)
	if refusal != nil {
		return TokenResponse{}, refusal
	}
	i := &issuance{service: s, client: client, holder: holder, request: r}
	if s.reuse.again(i) {
		if s.cfg.Observer != nil {
			s.cfg.Observer.TokenReused()
		}
		return i.response, nil
	}
	if refusal := grant.issue(ctx, i); refusal != nil {
		return TokenResponse{}, refusal
	}
	if i.response.AccessToken == "" {
		return TokenResponse{}, oautherr.ServerError(errors.New("the grant " + r.GrantType + " has minted no token"))
	}
	s.reuse.keep(i)
	if s.cfg.Observer != nil {
		s.cfg.Observer.TokenIssued(client.Method, i.response.Bound)
	}
	return i.response, nil
}

func (s *Service) grant(grantType string) (grant, *oautherr.Error) {
	if found, ok := s.grants[grantType]; ok {
		return found, nil
	}
	expected := strings.Join(s.GrantTypes(), " or ")
	if grantType == "" {
		return nil, oautherr.New(oautherr.CodeInvalidRequest, "no_grant_type",
			"grant_type is missing: expected %s", expected)
	}
	return nil, oautherr.New(oautherr.CodeUnsupportedGrantType, "grant_type",
		"grant_type is not supported: expected %s", expected)
}

// mint binds the token, writes its claims, uses up what the client has proven
// itself with and the proof that the token is bound by, signs, and records the
// token.
func (i *issuance) mint(ctx context.Context, d decision) *oautherr.Error {
	s, client := i.service, i.client
	claims := tokenClaims{Credential: client.CredentialID, JTI: newJTI()}
	claims.IssuedAt, claims.ExpiresAt = i.lifetime()
	bound, refusal := i.bind(ctx, d)
	if refusal != nil {
		return refusal
	}
	claims.Confirmation = bound.confirmation
	if refusal := s.fitsBound(d, claims.Confirmation); refusal != nil {
		return refusal
	}
	if refusal := client.Use(ctx); refusal != nil {
		return refusal
	}
	if refusal := bound.use(ctx, s); refusal != nil {
		return refusal
	}
	text, err := s.cfg.Keyring.Sign(d.profile.form, d.payload(claims))
	if err != nil {
		return oautherr.ServerError(err)
	}
	record := cache.TokenRecord{
		JTI: claims.JTI, ClientID: client.ClientID, OrgID: client.OrgID, SecretID: client.CredentialID,
		Scope: d.scope, Roles: d.roles, Epoch: i.holder.Epoch, Pol: i.holder.Policy,
		IP: i.request.IP, UserAgent: untrusted.RedactSecrets(i.request.UserAgent),
		IssuedAt: time.Unix(claims.IssuedAt, 0).UTC(), ExpiresAt: time.Unix(claims.ExpiresAt, 0).UTC(),
	}
	bound.confirmation.record(&record)
	s.cfg.Cache.RecordToken(ctx, record)
	i.response = TokenResponse{
		AccessToken: text, ExpiresIn: claims.ExpiresAt - claims.IssuedAt, Scope: d.scope, JTI: claims.JTI,
	}
	bound.describe(&i.response)
	return nil
}

// lifetime returns iat and exp. No token outlives a grant that it stands on, or
// the credential that it was got with.
func (i *issuance) lifetime() (issuedAt, expiresAt int64) {
	lifetime := i.service.cfg.TTL
	if i.client.TTLSeconds > 0 {
		lifetime = time.Duration(i.client.TTLSeconds) * time.Second
	}
	issuedAt = i.service.cfg.Clock().Unix()
	expiresAt = issuedAt + int64(lifetime/time.Second)
	for _, until := range []time.Time{i.holder.held.ExpiresAt, i.client.ExpiresAt, i.client.Until} {
		if !until.IsZero() && until.Unix() < expiresAt {
			expiresAt = until.Unix()
		}
	}
	return issuedAt, expiresAt
}
