package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	defaults "github.com/svcauth/svcauth/config"
	"github.com/svcauth/svcauth/internal/builtin"
	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Bounds of a catalogue. Every privilege may stand in one token.
const (
	maxAPIs          = 64
	maxPrivileges    = svcauth.MaxPrivilegesPerRole
	maxPrivilegeName = 64
	maxAudience      = 256
)

var privilegeName = regexp.MustCompile(`^[a-z][a-z0-9-]*(\.[a-z0-9-]+)*:[a-z][a-z0-9-]*$`)

// Catalog is the APIs and their privileges, in the order of the file. The
// built-in ones are not among them.
type Catalog struct {
	APIs       []svcauth.API
	Privileges []svcauth.Privilege
}

// The form of the file. A node keeps its line for the message.
type (
	catalogFile struct {
		APIs []catalogAPI `yaml:"apis"`
	}
	catalogAPI struct {
		Audience      yaml.Node          `yaml:"audience"`
		Name          yaml.Node          `yaml:"name"`
		Description   yaml.Node          `yaml:"description"`
		Profile       yaml.Node          `yaml:"profile"`
		AccountClaims yaml.Node          `yaml:"account_claims"`
		Privileges    []catalogPrivilege `yaml:"privileges"`
	}
	catalogPrivilege struct {
		Name        yaml.Node `yaml:"name"`
		Title       yaml.Node `yaml:"title"`
		Description yaml.Node `yaml:"description"`
	}
)

// LoadCatalog reads and checks the catalogue in file (at most 1 MiB), or the
// built-in example if file is empty. issuer is this server's own audience,
// which no API may have. The error is [Faults].
func LoadCatalog(file, issuer string) (Catalog, error) {
	name, raw := "catalog.yaml (built in)", defaults.Catalog
	if file != "" {
		var err error
		if name, raw, err = readCatalog(file); err != nil {
			return Catalog{}, err
		}
	}
	var parsed catalogFile
	documents := yaml.NewDecoder(bytes.NewReader(raw))
	documents.KnownFields(true)
	if err := documents.Decode(&parsed); err != nil && !errors.Is(err, io.EOF) {
		return Catalog{}, Faults{*yamlFault(name, err)}
	}
	if err := documents.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return Catalog{}, Faults{{Source: name, Problem: "holds more than one YAML document (---); write one"}}
	}
	c := catalogChecker{file: name, issuer: issuer, audiences: map[string]bool{}, names: map[string]bool{}}
	for _, p := range builtin.Privileges(issuer) {
		c.names[p.Name] = true
	}
	if len(parsed.APIs) > maxAPIs {
		c.faults.add(name, "apis", "has %d APIs; at most %d are taken", len(parsed.APIs), maxAPIs)
		return Catalog{}, c.faults
	}
	var out Catalog
	for i := range parsed.APIs {
		c.api(&parsed.APIs[i], &out)
	}
	if len(out.Privileges) > maxPrivileges {
		c.faults.add(name, "apis", "has %d privileges; at most %d are taken", len(out.Privileges), maxPrivileges)
	}
	if len(c.faults) > 0 {
		return Catalog{}, c.faults
	}
	return out, nil
}

func readCatalog(file string) (string, []byte, error) {
	raw, err := readBounded(file)
	if err != nil {
		return "", nil, Faults{{Source: file, Problem: fmt.Sprintf("can't read the catalogue: %v", err)}}
	}
	return file, raw, nil
}

type catalogChecker struct {
	file, issuer string
	audiences    map[string]bool
	names        map[string]bool // of privileges, the built-in ones too
	faults       Faults
}

func (c *catalogChecker) api(in *catalogAPI, out *Catalog) {
	lineFrom(&in.Audience, &in.Name)
	lineFrom(&in.Name, &in.Audience)
	audience := c.text(&in.Audience, "audience", 1, maxAudience)
	if audience == "" {
		return
	}
	err := httpx.CheckResource(audience)
	switch {
	case err != nil:
		c.fault(&in.Audience, "audience", "%s %s", quoteName(audience), err)
	case audience == c.issuer:
		c.fault(&in.Audience, "audience",
			"%s is this server's own audience (its issuer); give the API another one", quoteName(audience))
	case c.audiences[audience]:
		c.fault(&in.Audience, "audience", "%s is given twice; list its privileges under one", quoteName(audience))
	}
	c.audiences[audience] = true
	api := svcauth.API{Audience: audience,
		Name:        c.text(&in.Name, "name", 1, svcauth.MaxNameLength),
		Description: c.text(&in.Description, "description", 0, svcauth.MaxDescriptionLength),
		Profile:     c.profile(&in.Profile)}
	api.AccountClaims = c.accountClaims(&in.AccountClaims, api.Profile)
	out.APIs = append(out.APIs, api)
	if len(in.Privileges) == 0 {
		c.fault(&in.Audience, "privileges", "the API %s has none; list at least one", quoteName(audience))
	}
	for i := range in.Privileges {
		c.privilege(&in.Privileges[i], audience, out)
	}
}

func (c *catalogChecker) privilege(in *catalogPrivilege, audience string, out *Catalog) {
	lineFrom(&in.Name, &in.Title)
	lineFrom(&in.Title, &in.Name)
	name := c.text(&in.Name, "privilege", 1, maxPrivilegeName)
	switch {
	case name == "":
		return
	case !privilegeName.MatchString(name):
		c.fault(&in.Name, "privilege", "%s is not noun:verb in lower case, such as clusters:view", quoteName(name))
	case c.names[name]:
		c.fault(&in.Name, "privilege",
			"%s is taken, by another API or by this server itself; names are unique over all APIs", quoteName(name))
	}
	c.names[name] = true
	out.Privileges = append(out.Privileges, svcauth.Privilege{Name: name, API: audience,
		Title:       c.text(&in.Title, "title", 1, svcauth.MaxNameLength),
		Description: c.text(&in.Description, "description", 0, svcauth.MaxDescriptionLength)})
}

// text returns a YAML text of low to high characters, or "" if it adds a fault.
func (c *catalogChecker) text(node *yaml.Node, key string, low, high int) string {
	if node.Kind == 0 && low == 0 { // left out, and it may be
		return ""
	}
	if node.Kind != yaml.ScalarNode || node.Tag != "!!str" {
		c.fault(node, key, "is missing or not a text; put it between quotes")
		return ""
	}
	if _, err := decodeText(node.Value); err != nil {
		c.fault(node, key, "%v", err)
		return ""
	}
	if err := svcauth.CheckText(node.Value); err != nil {
		c.fault(node, key, "%v", err)
		return ""
	}
	if n := utf8.RuneCountInString(node.Value); n < low || n > high {
		c.fault(node, key, "has %d characters; expected %d to %d", n, low, high)
		return ""
	}
	return node.Value
}

func (c *catalogChecker) fault(at *yaml.Node, key, format string, args ...any) {
	source := c.file
	if at.Line > 0 {
		source = fmt.Sprintf("%s:%d", c.file, at.Line)
	}
	c.faults.add(source, key, format, args...)
}

// lineFrom gives a missing text the line of its neighbour, so that the message
// leads to the right place.
func lineFrom(node, neighbour *yaml.Node) {
	if node.Line == 0 {
		node.Line = neighbour.Line
	}
}
