package access

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// checkChangedTokens refuses what an account's tokens can't be for by default,
// and claims that they can't have. What stays as it was is not looked at: the
// catalogue may no longer list it, and then no token has it.
func (t *Tx) checkChangedTokens(ctx context.Context, old, next svcauth.ServiceAccount) error {
	if next.DefaultResource != old.DefaultResource {
		if err := t.checkDefaultResource(ctx, next.DefaultResource); err != nil {
			return err
		}
	}
	if sameClaims(old.Claims, next.Claims) {
		return nil
	}
	return t.checkAccountClaims(ctx, next.Claims)
}

// checkDefaultResource refuses what is no API of the catalogue, and this
// server itself: a token for it manages, so it is asked for by name.
func (t *Tx) checkDefaultResource(ctx context.Context, audience string) error {
	if audience == "" {
		return nil
	}
	apis, err := t.APIs(ctx)
	if err != nil {
		return err
	}
	if audience != t.s.cfg.Issuer &&
		slices.ContainsFunc(apis, func(a svcauth.API) bool { return a.Audience == audience }) {
		return nil
	}
	return svcauth.InvalidField("body.default_resource", "The default_resource is no API of the catalogue: "+
		"expected the audience of one (GET /v1/apis), not this server's own, or nothing.")
}

// checkAccountClaims refuses claims that are too large, that no API lists, or
// that not every reader would take as they are.
func (t *Tx) checkAccountClaims(ctx context.Context, claims map[string]any) error {
	const at = "body.claims"
	if len(claims) == 0 {
		return nil
	}
	if err := profile.CheckClaims(claims); err != nil {
		return svcauth.InvalidField(at, "The object %s.", err)
	}
	apis, err := t.APIs(ctx)
	if err != nil {
		return err
	}
	var listed []string
	for _, a := range apis {
		listed = append(listed, a.AccountClaims...)
	}
	if len(listed) == 0 {
		return svcauth.InvalidField(at, "No API takes claims of service accounts: the operator lists their names "+
			"as account_claims of an API in the catalogue.")
	}
	listed = slices.Compact(slices.Sorted(slices.Values(listed)))
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		if err := svcauth.CheckText(name); err != nil {
			return Unfit(at, err)
		}
		if !slices.Contains(listed, name) {
			return svcauth.InvalidField(at, "No API takes a claim %q of service accounts. Expected some of %s.",
				untrusted.Cut(name, profile.MaxClaimName), strings.Join(listed, ", "))
		}
		if err := checkClaim(claims[name]); err != nil {
			return svcauth.InvalidField(at, "The claim %q holds what can't be taken: %s.", name, err)
		}
	}
	return nil
}

// exactInteger is the largest number up to which every reader of JSON takes
// each integer as it is (RFC 8259 §6).
const exactInteger = 1<<53 - 1

// checkClaim returns an error that says what of a claim, at any depth, is not
// taken. Texts are shown to people, so they are checked as names are.
func checkClaim(value any) error {
	switch v := value.(type) {
	case string:
		if err := svcauth.CheckText(v); err != nil {
			return fmt.Errorf("a text that %w", err)
		}
	case float64:
		if v < -exactInteger || v > exactInteger {
			return fmt.Errorf("a number beyond %d, which not every reader takes as it is; write it as a text",
				int64(exactInteger))
		}
	case []any:
		for _, part := range v {
			if err := checkClaim(part); err != nil {
				return err
			}
		}
	case map[string]any:
		for member, part := range v {
			if err := cmp.Or(checkClaim(member), checkClaim(part)); err != nil {
				return err
			}
		}
	}
	return nil
}
