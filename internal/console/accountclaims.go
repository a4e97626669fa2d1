package console

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// apis reads the APIs of the catalogue, without this server's own.
func (v *visit) apis() (apis []svcauth.API, err error) {
	all := svcauth.ListOptions{Limit: svcauth.MaxPageSize}
	for api, err := range svcauth.All(v.ctx(), v.k.cfg.Access.APIs, all) {
		if err != nil {
			return nil, err
		}
		if api.Audience != v.k.cfg.Issuer {
			apis = append(apis, api)
		}
	}
	return apis, nil
}

// everyAPI is what an account's tokens are for without a default.
const everyAPI = "every API of which it holds a privilege"

// resourceChoices are what an account's tokens may be for by default, value and
// label; also what is chosen, though the catalogue may no longer have it.
func resourceChoices(apis []svcauth.API, chosen string) [][2]string {
	choices := [][2]string{{"", everyAPI}}
	for _, a := range apis {
		choices = append(choices, [2]string{a.Audience, a.Name + " (" + a.Audience + ")"})
	}
	if !slices.ContainsFunc(choices, func(c [2]string) bool { return c[0] == chosen }) {
		choices = append(choices, [2]string{chosen, chosen + ", which the catalogue does not have"})
	}
	return choices
}

// resourceLabel returns what an account's tokens are for by default, in words.
func resourceLabel(apis []svcauth.API, chosen string) string {
	for _, c := range resourceChoices(apis, chosen) {
		if c[0] == chosen {
			return c[1]
		}
	}
	return chosen
}

// claimsHint says what an account's own claims may be. It is empty if no API
// lists any.
func claimsHint(apis []svcauth.API) string {
	var names []string
	for _, a := range apis {
		names = append(names, a.AccountClaims...)
	}
	if len(names) == 0 {
		return ""
	}
	names = slices.Compact(slices.Sorted(slices.Values(names)))
	return `A JSON object, such as {"` + names[0] + `": "a value"}. There can be ` + strings.Join(names, ", ") +
		". A token has those that every API lists that it is for. Tokens issued so far stay as they are."
}

// claimRow is one of an account's own claims, with the APIs that list it.
type claimRow struct{ Name, Value, APIs string }

func claimRows(apis []svcauth.API, claims map[string]any) (rows []claimRow) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		var listed []string
		for _, a := range apis {
			if slices.Contains(a.AccountClaims, name) {
				listed = append(listed, a.Name)
			}
		}
		rows = append(rows, claimRow{name, indented(claims[name], ""), strings.Join(listed, ", ")})
	}
	return rows
}

// indented writes a value as JSON. With an indent each member has a line.
func indented(value any, indent string) string {
	var out bytes.Buffer
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	_ = encoder.Encode(value) // it comes out of JSON
	return strings.TrimSpace(out.String())
}

// claimsField writes claims for a field of a form.
func claimsField(claims map[string]any) string {
	if len(claims) == 0 {
		return ""
	}
	return indented(claims, "  ")
}

// accountClaims reads the field of an account's own claims, and writes it anew
// in our form, so that it can be compared. It returns nil if the form has none.
func (f *form) accountClaims() *map[string]any {
	if !f.Values.Has("claims") {
		return nil
	}
	claims := map[string]any{}
	text := f.trimmed("claims")
	if text == "" {
		return &claims
	}
	if json.Unmarshal([]byte(text), &claims) != nil || claims == nil {
		f.fail("claims", `Expected a JSON object, such as {"tier": "gold"}.`)
		return nil
	}
	f.Values.Set("claims", claimsField(claims))
	return &claims
}
