package federation

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// sortedNames returns the names of claims in their order.
func sortedNames(claims map[string]string) []string { return slices.Sorted(maps.Keys(claims)) }

// New returns the policy that a request asks for, completed and checked. own is
// this server's issuer. Name and Privileges are the caller's to check. The
// error is a [*svcauth.Problem].
func New(n svcauth.NewFederatedCredential, own string) (*Policy, error) {
	p := &Policy{
		Name: n.Name, Preset: n.Preset, Issuer: n.Issuer, Audience: n.Audience, Subject: n.Subject,
		Claims: maps.Clone(n.Claims), JWKS: given(n.JWKS), JWKSURI: n.JWKSURI, Algorithms: slices.Clone(n.Algorithms),
		MaxAge: n.MaxAge, OneTime: n.OneTime, Privileges: slices.Clone(n.Privileges), TTLSeconds: n.TTLSeconds,
	}
	return p.checked(own)
}

// given returns JSON that is not null.
func given(raw json.RawMessage) json.RawMessage {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || string(raw) == "null" {
		return nil
	}
	return raw
}

// Patched returns the policy with a change, completed and checked like a new
// one, and whether more tokens may fit it or carry more than before. Name and
// Privileges are the caller's to check.
func (p *Policy) Patched(change svcauth.FederatedCredentialPatch, own string) (changed *Policy, wider bool, err error) {
	next := *p
	put(&next.Name, change.Name)
	put(&next.Issuer, change.Issuer)
	put(&next.Audience, change.Audience)
	put(&next.Subject, change.Subject)
	put(&next.JWKSURI, change.JWKSURI)
	put(&next.Algorithms, change.Algorithms)
	put(&next.MaxAge, change.MaxAge)
	put(&next.OneTime, change.OneTime)
	put(&next.Privileges, change.Privileges)
	put(&next.TTLSeconds, change.TTLSeconds)
	next.Claims = maps.Clone(p.Claims)
	put(&next.Claims, change.Claims)
	if change.ClearPrivileges {
		next.Privileges = nil
	}
	if change.ClearJWKSURI {
		next.JWKSURI = ""
	}
	if raw := given(change.JWKS); raw != nil {
		next.JWKS = raw
	} else if change.ClearJWKS {
		next.JWKS = nil
	}
	changed, err = next.checked(own)
	return changed, err == nil && changed.widerThan(p), err
}

func put[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// widerThan reports whether p may fit a token that old does not, or give it
// more. A change that can't be told to narrow counts as one that widens.
func (p *Policy) widerThan(old *Policy) bool {
	same, before := *p, *old
	same.Name, same.OneTime = before.Name, before.OneTime
	if same.MaxAge < before.MaxAge {
		same.MaxAge = before.MaxAge
	}
	narrower := p.Privileges != nil && !slices.ContainsFunc(p.Privileges, func(one string) bool {
		return before.Privileges != nil && !slices.Contains(before.Privileges, one)
	})
	if narrower {
		same.Privileges = before.Privileges
	}
	return same.Material() != before.Material() || old.OneTime && !p.OneTime
}

// checked completes a policy from its preset and refuses one that is none.
func (p *Policy) checked(own string) (*Policy, error) {
	if p.Preset != "" && presets[p.Preset].algorithms == nil {
		return nil, svcauth.InvalidField("body.preset", "There is no such preset; expected one of %s, or none.",
			strings.Join(svcauth.FederatedPresets(), ", "))
	}
	p.fill()
	for _, check := range []func(own string) error{
		p.checkTexts, p.checkIssuer, p.checkAzure, p.checkWhose, p.checkClaims, p.checkKeys, p.checkNumbers,
	} {
		if err := check(own); err != nil {
			return nil, err
		}
	}
	if p.Audience == own {
		p.Audience = ""
	}
	if len(p.Claims) == 0 {
		p.Claims = nil
	}
	return p.prepared(), nil
}

func (p *Policy) checkTexts(string) error {
	for at, text := range map[string]string{
		"body.issuer": p.Issuer, "body.audience": p.Audience, "body.subject": p.Subject,
	} {
		if err := checkText(at, text); err != nil {
			return err
		}
	}
	return nil
}

// checkText refuses what no token has: control characters, and the asterisk by
// which other systems mean 'any'.
func checkText(at, text string) error {
	switch {
	case len(text) > svcauth.MaxFederatedText:
		return svcauth.InvalidField(at, "Expected at most %d bytes.", svcauth.MaxFederatedText)
	case strings.ContainsFunc(text, untrusted.Unsafe):
		return svcauth.InvalidField(at, "It has a character that can't be seen, which no issuer writes: copy it "+
			"anew.")
	case untrusted.HoldsSecret(text):
		return svcauth.InvalidField(at, "The text %s.", untrusted.ErrSecretInText)
	case strings.TrimSpace(text) != text:
		return svcauth.InvalidField(at, "It begins or ends with a space, which no issuer writes: take it away.")
	case strings.Contains(text, "*"):
		return svcauth.InvalidField(at, "Values are compared exactly: * stands for nothing but itself. Make one "+
			"credential for each value, or name what they have in common by a claim.")
	}
	return nil
}

// trustDomain is a SPIFFE trust domain as an issuer (SPIFFE ID §2.1).
var trustDomain = regexp.MustCompile(`^spiffe://[a-z0-9._-]{1,255}$`)

func (p *Policy) checkIssuer(own string) error {
	switch {
	case p.Issuer == "":
		return svcauth.InvalidField("body.issuer", "The issuer is missing: expected the iss of its tokens, to "+
			"the letter.")
	case p.isTrustDomain():
		if p.Preset != svcauth.PresetSPIFFE || !trustDomain.MatchString(p.Issuer) {
			return svcauth.InvalidField("body.issuer", "Expected spiffe:// and a trust domain in lower case, "+
				"without a path, "+
				"and the preset spiffe; or an address that begins with https://.")
		}
		if p.JWKS == nil && p.JWKSURI == "" {
			return svcauth.InvalidField("body.jwks_uri", "A trust domain has no discovery: give the address of "+
				"its bundle, or "+
				"the bundle itself as jwks.")
		}
		return nil
	}
	if err := httpx.CheckIssuer(p.Issuer); err != nil {
		return svcauth.InvalidField("body.issuer", "The issuer %s.", err)
	}
	if bare(p.Issuer) == bare(own) {
		return svcauth.InvalidField("body.issuer", "This server's own tokens can't be federated: one could be "+
			"made to last by "+
			"another.")
	}
	return nil
}

// guid is the form of the ids of Azure.
var guid = regexp.MustCompile(`^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$`)

// checkAzure refuses what no token of Azure has: those of version 1 have an
// issuer that ends with a slash, and those of version 2 have the id of the
// application as aud, whatever address of it was asked for.
func (p *Policy) checkAzure(string) error {
	switch {
	case p.Preset != svcauth.PresetAzure:
	case strings.HasPrefix(p.Issuer, "https://sts.windows.net/") && !strings.HasSuffix(p.Issuer, "/"):
		return svcauth.InvalidField("body.issuer", "Azure writes it with a slash at its end: %s/", p.Issuer)
	case strings.HasSuffix(p.Issuer, "/v2.0") && !guid.MatchString(p.Audience):
		return svcauth.InvalidField("body.audience", "Azure's tokens of version 2 have the Application (client) ID of "+
			"the app registration as aud, never its URI: expected that id, of the form "+
			"00000000-0000-0000-0000-000000000000.")
	}
	return nil
}

// bare returns an issuer without what two spellings of it may differ in.
func bare(issuer string) string { return strings.ToLower(strings.TrimRight(issuer, "/")) }

// checkWhose refuses a policy that fits everybody of the issuer.
func (p *Policy) checkWhose(string) error {
	if p.Subject != "" || p.hasID() {
		return nil
	}
	expected := "a claim that is an id, such as repository_id or project_id"
	if ids := presets[p.kind()].ids; ids != nil {
		expected = "one of the claims " + strings.Join(ids, ", ")
	}
	return svcauth.InvalidField("body.subject", "Whoever the issuer signs for would fit: expected a subject, or %s.",
		expected)
}

const maxClaimName = 256 // bytes

func (p *Policy) checkClaims(string) error {
	if len(p.Claims) > svcauth.MaxFederatedClaims {
		return svcauth.InvalidField("body.claims", "Expected at most %d claims.", svcauth.MaxFederatedClaims)
	}
	for _, name := range sortedNames(p.Claims) {
		switch path, isPointer := pointer(name); {
		case name == "" || name == "/" || len(name) > maxClaimName || strings.ContainsFunc(name, untrusted.Unsafe):
			return svcauth.InvalidField("body.claims", "The name of a claim has 1 to %d bytes, none of them "+
				"invisible.",
				maxClaimName)
		case slices.Contains(registered, name):
			return svcauth.InvalidField("body.claims", "The claim %s has a field or a rule of its own: leave it "+
				"out here.", name)
		case isPointer && (len(path) > maxPointer || slices.Contains(registered, path[0])):
			return svcauth.InvalidField("body.claims", "A JSON pointer has at most %d names, the first one not "+
				"a registered "+
				"claim.", maxPointer)
		case p.Claims[name] == "":
			return svcauth.InvalidField("body.claims", "A claim has no value: expected the text that it must be.")
		}
		if err := checkText("body.claims", p.Claims[name]); err != nil {
			return err
		}
	}
	return nil
}

// CheckKeySetURL refuses an address that no key set is fetched from. issuer is
// whose keys they are, or empty for those of a client. The error is a
// [*svcauth.Problem] of the field jwks_uri.
func CheckKeySetURL(issuer, address string) error {
	const at = "body.jwks_uri"
	switch {
	case len(address) > svcauth.MaxFederatedText:
		return svcauth.InvalidField(at, "Expected at most %d bytes.", svcauth.MaxFederatedText)
	case strings.ContainsFunc(address, untrusted.Unsafe) || strings.ContainsAny(address, " "):
		return svcauth.InvalidField(at, "The address has a space or a character that can't be seen: copy it anew.")
	case untrusted.HoldsSecret(address):
		return svcauth.InvalidField(at, "The address %s.", untrusted.ErrSecretInText)
	}
	if err := httpx.CheckEndpoint(issuer, address); err != nil {
		return svcauth.InvalidField(at, "The address %s.", err)
	}
	return nil
}

func (p *Policy) checkKeys(string) error {
	if p.JWKS != nil && p.JWKSURI != "" {
		return svcauth.InvalidField("body.jwks", "Give the key set or its address, not both.")
	}
	if p.JWKSURI != "" {
		if err := CheckKeySetURL(p.Issuer, p.JWKSURI); err != nil {
			return err
		}
	}
	p.Algorithms = slices.Compact(slices.Sorted(slices.Values(p.Algorithms)))
	for _, alg := range p.Algorithms {
		if !slices.Contains(jwk.AllAlgorithms(), alg) {
			return svcauth.InvalidField("body.algorithms", "Expected some of %s: those by which who checks "+
				"can't sign.",
				strings.Join(jwk.AllAlgorithms(), ", "))
		}
	}
	if p.JWKS == nil {
		return nil
	}
	set, err := inlineKeys(p.JWKS)
	if err != nil {
		return svcauth.InvalidField("body.jwks", "The key set can't be used: %s.", err)
	}
	p.JWKS = set
	return nil
}

// inlineKeys checks a key set that somebody registers. It returns what of it is
// of use: keys for other purposes are left out, and members that are no part of
// the key.
func inlineKeys(raw []byte) (json.RawMessage, error) {
	if len(raw) > svcauth.MaxFederatedKeySet {
		return nil, fmt.Errorf("it has more than %d KiB", svcauth.MaxFederatedKeySet>>10)
	}
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(raw, &doc); err != nil || len(doc.Keys) == 0 || len(doc.Keys) > maxInlineKeys {
		return nil, fmt.Errorf("expected a JWKS (RFC 7517 §5) with 1 to %d keys", maxInlineKeys)
	}
	var set struct {
		Keys []jwk.Key `json:"keys"`
	}
	for i, raw := range doc.Keys {
		var of struct{ Use string }
		if _ = json.Unmarshal(raw, &of); of.Use == "x509-svid" || of.Use == "wit-svid" {
			continue // of a SPIFFE bundle, for something else
		}
		key, _, err := jwk.Parse(raw)
		if err != nil {
			return nil, fmt.Errorf("key %d is %w", i+1, err)
		}
		if key.Kid != "" && slices.ContainsFunc(set.Keys, func(other jwk.Key) bool { return other.Kid == key.Kid }) {
			return nil, fmt.Errorf("key %d has the kid of another one", i+1)
		}
		set.Keys = append(set.Keys, key)
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("none of its keys is for JWTs")
	}
	return json.Marshal(set)
}

func (p *Policy) checkNumbers(string) error {
	if p.MaxAge < 1 || p.MaxAge > svcauth.MaxFederatedAgeSeconds {
		return svcauth.InvalidField("body.max_age_seconds", "Expected 1 to %d "+
			"seconds.", svcauth.MaxFederatedAgeSeconds)
	}
	ttl := p.TTLSeconds
	if ttl != 0 && (ttl < svcauth.MinTokenTTLSeconds || ttl > svcauth.MaxFederatedTTLSeconds) {
		return svcauth.InvalidField("body.token_ttl_seconds", "Expected %d to %d seconds, or 0 for no longer "+
			"than the "+
			"issuer's token.", svcauth.MinTokenTTLSeconds, svcauth.MaxFederatedTTLSeconds)
	}
	if p.Privileges != nil && len(p.Privileges) == 0 {
		return svcauth.InvalidField("body.privileges", "Expected at least one privilege; leave the field out "+
			"for all that the "+
			"account's roles grant.")
	}
	return nil
}
