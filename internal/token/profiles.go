package token

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// apiProfile is what tokens for an API look like, worked out once for each
// catalogue.
type apiProfile struct {
	svcauth.Profile              // as it comes to, see [profile.Resolve]
	form            keyring.Form // with the algorithm that it names, if any
	alike           string       // the same for two APIs that one token may be for
	accountClaims   []string
	own             bool   // it is the API's, and not the usual one
	unknown         string // what of it this release does not know: there are no tokens then
}

// usualProfile is that of this server itself, and of an API without one.
var usualProfile = newAPIProfile(svcauth.API{}, "")

// newAPIProfile works out the profile of an API. algorithm is the server's.
func newAPIProfile(api svcauth.API, algorithm string) *apiProfile {
	p := &apiProfile{Profile: profile.Resolve(api.Profile), accountClaims: api.AccountClaims,
		own: api.Profile != nil, unknown: profile.Unknown(api.Profile)}
	p.form = keyring.Form{Algorithm: p.SigningAlgorithm, Typ: p.Typ}
	same := p.form
	if p.SigningAlgorithm == algorithm {
		same.Algorithm = ""
	}
	// The catalogue's JSON was read from JSON, so that it can be written.
	alike, _ := json.Marshal([]any{same, p.ScopeClaim, p.Claims})
	p.alike = string(alike)
	return p
}

// profile returns what a token for some APIs looks like, and false if no token
// can be for all of them: one token has one form. Of alike ones it is the one
// that names its algorithm: what other nodes make the server's may differ from
// what this one has configured, and then only that API minds.
func (c *catalogue) profile(audience []string) (*apiProfile, bool) {
	if len(audience) == 0 {
		return usualProfile, true
	}
	first := c.profileOf(audience[0])
	chosen, ok := first, len(audience) == 1 || first.AudienceForm != profile.AudienceString
	for _, api := range audience[1:] {
		other := c.profileOf(api)
		if other.alike != first.alike || other.AudienceForm == profile.AudienceString {
			return nil, false
		}
		if chosen.form.Algorithm == "" {
			chosen = other
		}
	}
	return chosen, ok
}

// Form returns what the tokens for an API look like: what its profile comes to,
// with the server's algorithm if it names none.
func (s *Service) Form(api svcauth.API) svcauth.Profile {
	form := profile.Resolve(api.Profile)
	form.SigningAlgorithm = cmp.Or(form.SigningAlgorithm, s.cfg.Keyring.Algorithm())
	return form
}

// described says what a token looks like, as the end of a sentence. It is empty
// if the API has no profile.
func (p *apiProfile) described() string {
	if !p.own {
		return ""
	}
	text := p.Profile
	if text.SigningAlgorithm == "" {
		text.SigningAlgorithm = "the server's algorithm"
	}
	return ", in the form of its API's profile: " + text.String()
}

// profileOf returns that of one API.
func (c *catalogue) profileOf(audience string) *apiProfile {
	if p, ok := c.profiles[audience]; ok {
		return p
	}
	return usualProfile
}

// accountClaims returns the claims that a client may have of its own in a token
// for some APIs: those that each of them lists.
func (c *catalogue) accountClaims(audience []string) (names []string) {
	for i, api := range audience {
		listed := c.profileOf(api).accountClaims
		if i == 0 {
			names = listed
			continue
		}
		names = without(names, func(name string) bool { return !slices.Contains(listed, name) })
	}
	return names
}

// The reasons of refusals because of profiles.
const (
	reasonProfiles        = svcauth.ReasonProfiles
	reasonDefaultResource = svcauth.ReasonDefaultResource
	reasonUnknownProfile  = svcauth.ReasonUnknownProfile
)

// knownForm refuses a token for an API whose profile is not known here: what is
// signed in another form than its API demands may mean something else there.
func (c *catalogue) knownForm(audience []string) *oautherr.Error {
	for _, api := range audience {
		if p := c.profileOf(api); p.unknown != "" {
			return oautherr.New(oautherr.CodeInvalidTarget, reasonUnknownProfile,
				"this release of the server does not know the form of the tokens for %s, which a newer one has "+
					"written (%.100s): update this server, or name other APIs in the request with resource",
				quote(api), p.unknown)
		}
	}
	return nil
}

// oneForm refuses a token for APIs that want different forms.
func (c *catalogue) oneForm(audience []string) *oautherr.Error {
	if refusal := c.knownForm(audience); refusal != nil {
		return refusal
	}
	if _, ok := c.profile(audience); ok {
		return nil
	}
	return oautherr.New(oautherr.CodeInvalidTarget, reasonProfiles,
		"no token fits all APIs that it would be for, as they want tokens of different forms: "+
			"name one API in each request, as %s", namedResources(audience))
}

// usualRefused returns why a request of this client that asks for nothing in
// particular gets no token, or nil if it does.
func (h *holder) usualRefused(issuer string) *oautherr.Error {
	switch {
	case h.DefaultResource == "":
		refusal := h.catalog.oneForm(h.asked)
		if refusal != nil && refusal.Reason == reasonProfiles && h.Kind == store.ClientServiceAccount {
			refusal.Description += "; or let the service account have a default_resource"
		}
		return refusal
	case !h.catalog.known[h.DefaultResource] || h.DefaultResource == issuer:
		return oautherr.New(oautherr.CodeInvalidTarget, reasonDefaultResource,
			"the account's default_resource %s is no API of the catalogue any more: "+
				"give the account another one, or name the API in the request with resource",
			quote(h.DefaultResource))
	}
	return h.catalog.knownForm([]string{h.DefaultResource})
}

// forms returns for each privilege of an API, this server's own aside, a number
// that it has in common with those that may stand in one token with it. It
// returns nil if all may.
func (c *catalogue) forms(issuer string) map[string]int {
	numbers, of := map[string]int{}, map[string]int{}
	for _, p := range c.privileges {
		if p.API == issuer {
			continue
		}
		api := c.profileOf(p.API)
		alike := api.alike
		if api.AudienceForm == profile.AudienceString {
			alike += " " + p.API
		}
		if _, ok := numbers[alike]; !ok {
			numbers[alike] = len(numbers)
		}
		of[p.Name] = numbers[alike]
	}
	if len(numbers) < 2 {
		return nil
	}
	return of
}

// namedResources says how some APIs are asked for one by one.
func namedResources(audience []string) string {
	const most = 4
	shown := make([]string, 0, most)
	for _, api := range audience[:min(len(audience), most)] {
		shown = append(shown, "resource="+api)
	}
	text := strings.Join(shown, " or ")
	if len(audience) > most {
		text += " and so on"
	}
	return text
}
