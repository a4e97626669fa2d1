package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/svcauth/svcauth/internal/profile"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxAccountClaims is how many claims of their own accounts may have for one
// API.
const maxAccountClaims = 32

// profile reads the form of an API's tokens. It returns nil if that is the
// usual one.
func (c *catalogChecker) profile(node *yaml.Node) *svcauth.Profile {
	p := new(svcauth.Profile)
	read := map[string]func(*yaml.Node){
		"preset":            c.oneOf("profile.preset", &p.Preset, profile.Presets()),
		"signing_algorithm": c.oneOf("profile.signing_algorithm", &p.SigningAlgorithm, profile.SigningAlgorithms()),
		"typ":               c.oneOf("profile.typ", &p.Typ, profile.Typs()),
		"scope_claim":       c.oneOf("profile.scope_claim", &p.ScopeClaim, profile.ScopeClaims()),
		"audience_form":     c.oneOf("profile.audience_form", &p.AudienceForm, profile.AudienceForms()),
		"claims":            func(value *yaml.Node) { p.Claims = c.claims(value) },
	}
	c.members(node, "profile", func(name, value *yaml.Node) {
		if reader, ok := read[name.Value]; ok {
			reader(value)
			return
		}
		c.fault(name, "profile", "the key %s is not known; expected %s",
			quoteName(name.Value), alternatives(slices.Sorted(maps.Keys(read))))
	})
	if reflect.ValueOf(*p).IsZero() {
		return nil
	}
	if err := profile.CheckClaims(profile.Resolve(p).Claims); err != nil {
		c.fault(node, "profile.claims", "%v", err)
	}
	return p
}

// members hands on the members of a section. One that is left out or empty has
// none.
func (c *catalogChecker) members(node *yaml.Node, key string, read func(name, value *yaml.Node)) {
	section := resolved(node)
	if section.Kind == 0 || section.Tag == "!!null" {
		return
	}
	if section.Kind != yaml.MappingNode {
		c.fault(node, key, "is no section; write keys and their values below it")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(section.Content); i += 2 {
		name := section.Content[i]
		if seen[name.Value] {
			c.fault(name, key, "the key %s is given twice; keep one", quoteName(name.Value))
			continue
		}
		seen[name.Value] = true
		read(name, section.Content[i+1])
	}
}

// resolved returns the node that an alias stands for.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// oneOf returns what reads a text that must be one of some values.
func (c *catalogChecker) oneOf(key string, into *string, values []string) func(*yaml.Node) {
	return func(node *yaml.Node) {
		value := resolved(node)
		switch {
		case value.Kind != yaml.ScalarNode:
			c.fault(node, key, "is no text; expected %s", alternatives(values))
		case !slices.Contains(values, value.Value):
			c.fault(node, key, "%s is not known; expected %s", quoteName(value.Value), alternatives(values))
		default:
			*into = value.Value
		}
	}
}

// claims reads the claims that all tokens for an API have. They come back as
// the database keeps them, in JSON, so that both can be compared.
func (c *catalogChecker) claims(node *yaml.Node) map[string]any {
	claims := map[string]any{}
	c.members(node, "profile.claims", func(name, value *yaml.Node) { claims[name.Value] = c.claim(name, value) })
	if len(claims) == 0 {
		return nil
	}
	return claims
}

func (c *catalogChecker) claim(name, node *yaml.Node) (value any) {
	if err := profile.CheckClaimName(name.Value); err != nil {
		c.fault(name, "profile.claims", "%s %v", quoteName(name.Value), err)
		return nil
	}
	err := node.Decode(&value)
	if err != nil {
		err = errors.New(yamlFault("", err).Problem)
	} else if err = plainJSON(value); err == nil {
		err = profile.CheckTemplates(value)
	}
	if err == nil {
		var raw []byte
		if raw, err = json.Marshal(value); err == nil {
			err = json.Unmarshal(raw, &value)
		}
	}
	if err != nil {
		c.fault(node, "profile.claims."+name.Value, "%v", err)
		return nil
	}
	return value
}

// largestInteger is the largest that every reader of JSON reads as it is (RFC
// 8259 §6).
const largestInteger = 1<<53 - 1

// plainJSON returns an error if a value of YAML is none of JSON, or is read
// differently by different readers.
func plainJSON(value any) error {
	switch v := value.(type) {
	case nil, string, bool:
		return nil
	case int:
		if v > largestInteger || v < -largestInteger {
			return errors.New("has a number of more than 53 bits, which readers of JSON round; put it between quotes")
		}
		return nil
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return errors.New("has a number that JSON does not have")
		}
		return nil
	case []any:
		for _, inner := range v {
			if err := plainJSON(inner); err != nil {
				return err
			}
		}
		return nil
	case map[string]any:
		for _, inner := range v {
			if err := plainJSON(inner); err != nil {
				return err
			}
		}
		return nil
	case time.Time:
		return errors.New("has a date, which JSON does not have; put it between quotes")
	}
	return fmt.Errorf("has %s; expected texts, numbers, true, false, lists, and sections whose keys are texts",
		kindOf(value))
}

// accountClaims reads the names of the claims that accounts may have of their
// own.
func (c *catalogChecker) accountClaims(node *yaml.Node, p *svcauth.Profile) (names []string) {
	const key = "account_claims"
	list := resolved(node)
	if list.Kind == 0 || list.Tag == "!!null" {
		return nil
	}
	if list.Kind != yaml.SequenceNode {
		c.fault(node, key, "is no list; expected names of claims, such as [department]")
		return nil
	}
	if len(list.Content) > maxAccountClaims {
		c.fault(node, key, "has %d names; at most %d are taken", len(list.Content), maxAccountClaims)
		return nil
	}
	written := profile.Resolve(p).Claims
	for _, item := range list.Content {
		fixed, isFixed := profile.Among(maps.Keys(written), item.Value)
		alike, again := profile.Among(slices.Values(names), item.Value)
		err := profile.CheckClaimName(item.Value)
		switch {
		case item.Kind != yaml.ScalarNode || item.Tag != "!!str":
			c.fault(item, key, "has an entry that is no text; put it between quotes")
		case err != nil:
			c.fault(item, key, "%s %v", quoteName(item.Value), err)
		case isFixed:
			c.fault(item, key, "%s is a claim that the profile of this API writes; take it out of one of both",
				quoteName(fixed))
		case again && alike != item.Value:
			c.fault(item, key, "%s and %s differ in large and small letters alone; keep one",
				quoteName(alike), quoteName(item.Value))
		case again:
			c.fault(item, key, "%s is given twice; keep one", quoteName(item.Value))
		default:
			names = append(names, item.Value)
		}
	}
	return names
}

// alternatives writes values as "a, b or c".
func alternatives(values []string) string {
	last := len(values) - 1
	if last < 1 {
		return strings.Join(values, "")
	}
	return strings.Join(values[:last], ", ") + " or " + values[last]
}
