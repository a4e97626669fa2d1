package console

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// trust is what the dialog of a federated credential that is made shows: what
// its tokens must have, and what the other side needs.
type trust struct {
	Name, Policy string
	Paste        *snippet
	Warnings     []string
}

// trustOf returns what is to be known of a federated credential. repository is
// that of GitHub, where it is known.
func (k *Console) trustOf(accountID string, c svcauth.FederatedCredential, repository string) *trust {
	policy, _ := json.MarshalIndent(struct {
		Issuer   string            `json:"iss"`
		Audience string            `json:"aud"`
		Subject  string            `json:"sub,omitempty"`
		Claims   map[string]string `json:"claims,omitempty"`
	}{c.Issuer, c.Audience, c.Subject, c.Claims}, "", "  ")
	t := &trust{Name: c.Name, Policy: string(policy)}
	for _, w := range c.Warnings {
		t.Warnings = append(t.Warnings, w.Message)
	}
	if paste := presetFormOf(c.Preset).paste; paste != nil {
		t.Paste = paste(pasted{k.cfg.Issuer, accountID, c, repository})
	}
	return t
}

func listFederated(v *visit, id string) (all []credential, err error) {
	list, err := v.k.cfg.Access.FederatedCredentials(v.ctx(), id)
	for _, c := range list.Items {
		one := credential{
			ID: c.ID, Title: c.Name, Detail: []string{"issuer " + c.Issuer}, Description: c.Description,
			CreatedAt: c.CreatedAt, CreatedBy: c.CreatedBy, ExpiresAt: c.ExpiresAt, LastUsedAt: c.LastUsedAt,
		}
		if c.Subject != "" {
			one.Detail = append(one.Detail, "subject "+c.Subject)
		}
		for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
			one.Detail = append(one.Detail, name+" "+c.Claims[name])
		}
		one.Detail = append(one.Detail, v.k.boundsOf(c)...)
		for _, w := range c.Warnings {
			one.Warnings = append(one.Warnings, w.Message)
		}
		all = append(all, one)
	}
	return all, err
}

// boundsOf says what the tokens that are got by a federated credential are
// bounded by, and what is unlike others of it, a line each.
func (k *Console) boundsOf(c svcauth.FederatedCredential) (lines []string) {
	if c.Audience != k.cfg.Issuer {
		lines = append(lines, "audience "+c.Audience)
	}
	if len(c.JWKS) > 0 {
		lines = append(lines, "keys as they were given")
	} else if c.JWKSURI != "" {
		lines = append(lines, "keys of "+c.JWKSURI)
	}
	if c.OneTime {
		lines = append(lines, "each of its tokens works once")
	}
	if c.Privileges != nil {
		lines = append(lines, "at most the privileges "+strings.Join(c.Privileges, ", "))
	}
	if c.TTLSeconds != 0 {
		life := timespan.Text(time.Duration(c.TTLSeconds) * time.Second)
		lines = append(lines, "tokens that are got by it live "+life)
	}
	return lines
}

// boundFields are what each federated credential may have beside what its
// preset asks for. The dialog shows them when they are wanted.
var boundFields = []string{"audience", "claims", "privileges", "token_ttl_seconds", "one_time"}

// federatedFields are the fields of a policy as the API calls them.
var federatedFields = append([]string{
	"name", "description", "expires_at", "issuer", "subject", "jwks", "jwks_uri", "max_age_seconds",
}, boundFields...)

// createFederated reads the fields of a preset, or those of any issuer. What
// there is to warn of is shown before anything is made.
func createFederated(v *visit, id string, f *form) (*trust, error) {
	asked := presetFormOf(f.Value("preset"))
	n := svcauth.NewFederatedCredential{
		Name: f.Value("name"), Description: f.Value("description"), Preset: asked.Preset,
		Audience: f.trimmed("audience"), ExpiresAt: f.dateTime("expires_at"), Claims: map[string]string{},
		OneTime: f.Value("one_time") == "yes", Privileges: f.words("privileges"),
		TTLSeconds: f.number("token_ttl_seconds"), Caution: f.caution(),
	}
	names := slices.Concat(boundFields, []string{"name", "description", "expires_at"})
	for _, field := range asked.Fields {
		names = append(names, field.Name)
		if !field.Optional && field.Choices == nil && f.trimmed(field.Name) == "" {
			f.fail(field.Name, field.Label+" is missing.")
		}
	}
	if asked.fill(f, &n); len(f.Errors) == 0 {
		f.moreClaims(n.Claims)
	}
	if len(f.Errors) > 0 {
		return nil, nil
	}
	made, err := v.k.cfg.Access.CreateFederatedCredential(v.ctx(), id, n)
	if err != nil {
		if f.refused(err, "name") {
			if text := f.Errors["audience"]; text != "" && slices.Contains(names, "application") { // where it was typed
				delete(f.Errors, "audience")
				f.fail("application", text)
			}
			f.only(names...)
		}
		return nil, err
	}
	return v.k.trustOf(id, made, f.trimmed("repository")), nil
}

// moreClaims reads the field of further claims, one a line.
func (f *form) moreClaims(into map[string]string) {
	for line := range strings.Lines(f.Value("claims")) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		switch {
		case strings.TrimSpace(line) == "":
		case !ok || name == "":
			f.fail("claims", "Expected a claim a line, as name=value.")
		default:
			into[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
	}
}

// showFederated returns again what the dialog showed when it was made.
func showFederated(v *visit, id, credentialID string) (*trust, error) {
	c, err := v.k.cfg.Access.FederatedCredential(v.ctx(), id, credentialID)
	if err != nil {
		return nil, err
	}
	return v.k.trustOf(id, c, ""), nil
}

// federatedForm shows a federated credential for editing.
func federatedForm(v *visit, id, credentialID string) (*form, error) {
	c, err := v.k.cfg.Access.FederatedCredential(v.ctx(), id, credentialID)
	if err != nil {
		return nil, err
	}
	var claims []string
	for _, name := range slices.Sorted(maps.Keys(c.Claims)) {
		claims = append(claims, name+"="+c.Claims[name])
	}
	audience := c.Audience
	if audience == v.k.cfg.Issuer {
		audience = ""
	}
	f := filled("name", c.Name, "description", c.Description, "expires_at", fieldTime(c.ExpiresAt), "issuer", c.Issuer,
		"audience", audience, "subject", c.Subject, "claims", strings.Join(claims, "\n"), "jwks", string(c.JWKS),
		"jwks_uri", c.JWKSURI, "max_age_seconds", strconv.Itoa(c.MaxAge),
		"privileges", strings.Join(c.Privileges, "\n"))
	if c.OneTime {
		f.Values.Set("one_time", "yes")
	}
	if c.TTLSeconds != 0 {
		f.Values.Set("token_ttl_seconds", strconv.Itoa(c.TTLSeconds))
	}
	return f, nil
}

// saveFederated changes what differs from what is there. What there is to warn
// of is shown first.
func saveFederated(v *visit, id, credentialID string, f *form) error {
	now, err := federatedForm(v, id, credentialID)
	if err != nil {
		return err
	}
	patch := f.federatedPatch(now)
	patch.Caution = f.caution()
	if len(f.Errors) > 0 {
		return nil
	}
	_, err = v.k.cfg.Access.UpdateFederatedCredential(v.ctx(), id, credentialID, patch)
	if err != nil && f.refused(err, "name") {
		f.only(federatedFields...)
	}
	return err
}

// sameText compares two values of a field; browsers send lines that end in
// CRLF.
func sameText(a, b string) bool {
	return strings.ReplaceAll(strings.TrimSpace(a), "\r", "") == strings.ReplaceAll(strings.TrimSpace(b), "\r", "")
}

// federatedPatch returns what the form changes of what it showed.
func (f *form) federatedPatch(now *form) (patch svcauth.FederatedCredentialPatch) {
	for name, to := range map[string]**string{
		"name": &patch.Name, "description": &patch.Description, "issuer": &patch.Issuer, "audience": &patch.Audience,
		"subject": &patch.Subject, "jwks_uri": &patch.JWKSURI,
	} {
		if text := f.trimmed(name); !sameText(text, now.Value(name)) {
			*to = &text
		}
	}
	claims, age, ttl, once := map[string]string{}, f.number("max_age_seconds"), f.number("token_ttl_seconds"),
		f.Value("one_time") == "yes"
	f.moreClaims(claims)
	patch.Claims, patch.MaxAge, patch.TTLSeconds, patch.OneTime = &claims, &age, &ttl, &once
	if privileges := f.words("privileges"); privileges == nil {
		patch.ClearPrivileges = true
	} else {
		patch.Privileges = &privileges
	}
	if !sameText(f.Value("jwks"), now.Value("jwks")) {
		patch.JWKS = f.keySet()
		patch.ClearJWKS = patch.JWKS == nil
	}
	if expires := f.dateTime("expires_at"); fieldTime(expires) != now.Value("expires_at") {
		patch.ExpiresAt, patch.ClearExpiresAt = expires, expires == nil
	}
	return patch
}
