package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const issuer = "https://auth.example.com"

func TestBuiltInCatalog(t *testing.T) {
	c, err := LoadCatalog("", issuer)
	require.NoError(t, err)
	require.Len(t, c.APIs, 2)
	require.Equal(t, svcauth.API{Audience: "https://api.cloud.example", Name: "Cloud API",
		Description: "Clusters, cloud settings and alarms of the data platform."}, c.APIs[0])
	names := map[string]string{}
	for _, p := range c.Privileges {
		names[p.Name] = p.API
		require.NotEmpty(t, p.Title)
		require.NotEmpty(t, p.Description)
	}
	for _, verb := range []string{"view", "create", "edit", "suspend", "resume", "release"} {
		require.Equal(t, "https://api.cloud.example", names["clusters:"+verb])
	}
	require.Equal(t, "https://billing.cloud.example", names["billing:manage"])
	require.Contains(t, names, "alarms:view")
	require.Contains(t, names, "cloud-settings:manage")
	fromFile, err := LoadCatalog("../../config/catalog.yaml", issuer)
	require.NoError(t, err)
	require.Equal(t, c, fromFile)
}

func TestCatalogFaults(t *testing.T) {
	one := func(audience, privilege string) string {
		return fmt.Sprintf("apis:\n  - audience: %s\n    name: A\n    privileges:\n      - {name: %s, title: T}\n",
			audience, privilege)
	}
	for text, want := range map[string]string{
		one("https://a.example", "a:b"):         "",
		one("urn:example:api", `"a-1.b-2:c-d"`): "",
		"":                                      "", // an empty catalogue: the built-in privileges alone
		one("https://a.example#f",
			"a:b"): ":2: audience: \"https://a.example#f\" is not an absolute URI",
		one("api", "a:b"):      ":2: audience: \"api\" is not an absolute URI",
		one("https://", "a:b"): ":2: audience: ",
		one(issuer,
			"a:b"): ":2: audience: \"https://auth.example.com\" is this server's own audience",
		one("'"+strings.Repeat("a", 257)+"'", "a:b"):           ":2: audience: has 257 characters; expected 1 to 256",
		one("https://a.example", "members:manage"):             ":5: privilege: \"members:manage\" is taken",
		one("https://a.example", "A:b"):                        ":5: privilege: \"A:b\" is not noun:verb",
		one("https://a.example", "'a b:c'"):                    "is not noun:verb",
		one("https://a.example", "all-apis"):                   "is not noun:verb",
		one("https://a.example", "a:"+strings.Repeat("b", 63)): "privilege: has 65 characters",
		one("https://a.example", "1"):                          ":5: privilege: is missing or not a text",
		one("https://a.example", "a:b") +
			"      - {name: a:b, title: T}\n": ":6: privilege: \"a:b\" is taken",
		one("https://a.example", "a:b") +
			"      - {name: a:c}\n": ":6: title: is missing",
		one("https://a.example", "a:b") +
			strings.TrimPrefix(one("https://a.example", "a:c"),
				"apis:\n"): ":6: audience: \"https://a.example\" is given twice",
		"apis:\n  - {audience: 'https://a.example', name: A}\n":     ":2: privileges: the API",
		"apis:\n  - {audience: 'https://a.example', colour: red}\n": ":2: is not valid YAML",
		"apis: {}\n": "is not valid YAML",
	} {
		_, err := LoadCatalog(write(t, text), issuer)
		if want == "" {
			require.NoError(t, err, text)
			continue
		}
		require.ErrorContains(t, err, want, text)
	}
	var many strings.Builder
	many.WriteString(one("https://a.example", "a:b"))
	for i := range maxPrivileges {
		fmt.Fprintf(&many, "      - {name: 'a:x%d', title: T}\n", i)
	}
	_, err := LoadCatalog(write(t, many.String()), issuer)
	require.ErrorContains(t, err, "has 501 privileges")
	_, err = LoadCatalog("/no/such", issuer)
	require.ErrorContains(t, err, "/no/such: can't read the catalogue")
}

func TestCatalogReportsAllFaults(t *testing.T) {
	_, err := LoadCatalog(write(t,
		"apis:\n  - audience: x\n    name: ''\n    privileges: [{name: a, title: t}, {name: b, title: ''}]\n"), issuer)
	var f Faults
	require.ErrorAs(t, err, &f)
	require.Len(t, f, 5, f.Error())
}
