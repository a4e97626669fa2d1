package profile

import (
	"errors"
	"fmt"
	"iter"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Bounds of the claims of one profile, and of those of one account.
const (
	MaxClaims     = svcauth.MaxClaimsSize // bytes of JSON
	MaxClaimName  = 64
	maxClaimDepth = 8
)

// reserved are the claims that the server writes or reads itself, whatever the
// profile: those of RFC 7519 §4.1 and RFC 9068 §2.2, those of delegation (RFC
// 8693 §4) and binding (RFC 7800), and its own. The claims of privileges are all
// among them, since those who read a token take whichever is there.
var reserved = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id",
	ClaimScope, ClaimSCP, ClaimPermissions, "roles",
	"org_id", "epoch", "pol", "cred", "full",
	"act", "may_act", "cnf", "status",
}

// Reserved reports whether a claim is written by the server alone. Large and
// small letters are the same to it, as they are to some readers of JSON: Go's
// own takes a member "SUB" for "sub".
func Reserved(claim string) bool {
	_, found := Among(slices.Values(reserved), claim)
	return found
}

// CheckClaimName returns an error that says why a claim can't be a profile's or
// an account's own.
func CheckClaimName(name string) error {
	switch {
	case name == "" || len(name) > MaxClaimName || strings.ContainsFunc(name, notVisible):
		return fmt.Errorf("is not the name of a claim; expected 1 to %d visible ASCII characters", MaxClaimName)
	case Reserved(name):
		return errors.New("is a claim that this server writes itself; give yours another name")
	}
	return nil
}

// Among returns the one of some names that readers of JSON may take for a name,
// and false if there is none: large and small letters are the same to some.
func Among(names iter.Seq[string], name string) (alike string, found bool) {
	for alike = range names {
		if strings.EqualFold(alike, name) {
			return alike, true
		}
	}
	return "", false
}

func notVisible(r rune) bool { return r <= ' ' || r > '~' }

// CheckClaims returns an error if claims together are larger or deeper than
// one profile, or one account, may have, or if one may be taken for another.
func CheckClaims(claims map[string]any) error {
	text, err := svcauth.ClaimsText(claims)
	switch {
	case err != nil:
		return errors.New("can't be written as JSON; expected texts, numbers, true, false, lists and objects of these")
	case len(text) > MaxClaims:
		return fmt.Errorf("has %d bytes of JSON; at most %d are taken", len(text), MaxClaims)
	case depth(claims) > maxClaimDepth:
		return fmt.Errorf("has objects or lists within each other more than %d deep", maxClaimDepth)
	}
	names := slices.Sorted(maps.Keys(claims))
	for i, name := range names {
		if alike, found := Among(slices.Values(names[:i]), name); found {
			return fmt.Errorf("has %.100q and %.100q, which differ in large and small letters alone; keep one",
				alike, name)
		}
	}
	return nil
}

func depth(value any) int {
	deepest := 0
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			deepest = max(deepest, 1+depth(inner))
		}
	case []any:
		for _, inner := range v {
			deepest = max(deepest, 1+depth(inner))
		}
	}
	return deepest
}

// Values are what templates stand for: they are of the client that a token is
// for.
type Values struct{ ClientID, Subject, OrgID, Name string }

var template = regexp.MustCompile(`\{[a-z_]+\}`)

// CheckTemplates returns an error if a text in a claim's value names a template
// that does not exist, or the name of an account alone: names are chosen by
// organizations, and two may choose the same.
func CheckTemplates(value any) (err error) {
	texts(value, func(text string) string {
		found := template.FindAllString(text, -1)
		for _, name := range found {
			switch name {
			case "{client_id}", "{sub}", "{org_id}":
			case "{name}":
				if !slices.Contains(found, "{org_id}") {
					err = errors.New("has {name} alone, which two organizations may choose alike; " +
						"write {org_id} in the same text, such as {org_id}/{name}")
				}
			default:
				err = fmt.Errorf("has %s, which stands for nothing; expected {client_id}, {sub}, {org_id} or, "+
					"in one text with {org_id}, {name}", name)
			}
		}
		return text
	})
	return err
}

// Fill returns a claim's value with its templates replaced, in texts at every
// depth. What replaces them is not read for templates again.
func Fill(value any, with Values) any {
	replace := strings.NewReplacer(
		"{client_id}", with.ClientID, "{sub}", with.Subject, "{org_id}", with.OrgID, "{name}", with.Name)
	return texts(value, replace.Replace)
}

// texts returns a copy of value with each text as change returns it. The names
// of members are not texts.
func texts(value any, change func(string) string) any {
	switch v := value.(type) {
	case string:
		return change(v)
	case map[string]any:
		all := make(map[string]any, len(v))
		for name, inner := range v {
			all[name] = texts(inner, change)
		}
		return all
	case []any:
		all := make([]any, len(v))
		for i, inner := range v {
			all[i] = texts(inner, change)
		}
		return all
	}
	return value
}
