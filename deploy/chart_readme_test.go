package deploy_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	sigsyaml "sigs.k8s.io/yaml"
)

// schema is what the table of values needs of values.schema.json.
type schema struct {
	Description      string
	Type             any // a name, or several
	Enum             []any
	Ref              string `json:"$ref"`
	AllOf            []schema
	Properties       map[string]*schema
	Definitions      map[string]schema
	Not              json.RawMessage
	Minimum, Maximum *int
}

// chartValues reads what the chart says of its values, and their defaults.
func chartValues(t *testing.T) (s schema, defaults map[string]any) {
	t.Helper()
	require.NoError(t, json.Unmarshal([]byte(read(t, "helm/svcauth/values.schema.json")), &s))
	require.NoError(t, sigsyaml.Unmarshal([]byte(read(t, "helm/svcauth/values.yaml")), &defaults))
	return s, defaults
}

// hidden reports whether the chart writes that value itself.
func (s schema) hidden() bool { return string(s.Not) == "{}" }

// describe calls visit for each value that stands for itself, by its path.
func (s schema) describe(path string, visit func(path string, value schema)) {
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		value := *s.Properties[name]
		if value.hidden() || path == "" && name == "global" {
			continue
		}
		at := strings.TrimPrefix(path+"."+name, ".")
		if value.Properties == nil || value.Description != "" {
			visit(at, value)
		}
		value.describe(at, visit)
	}
}

// kind says in a word or two what a value may be.
func (s schema) kind(all map[string]schema) string {
	for s.Ref != "" || len(s.AllOf) > 0 {
		if s.Ref == "" {
			s.Ref = s.AllOf[0].Ref
		}
		s = all[strings.TrimPrefix(s.Ref, "#/definitions/")]
	}
	var words []string
	switch typed := s.Type.(type) {
	case string:
		words = []string{typed}
	case []any:
		for _, one := range typed {
			words = append(words, fmt.Sprint(one))
		}
	}
	for _, one := range s.Enum {
		words = append(words, fmt.Sprintf("`%v`", one))
	}
	text := strings.NewReplacer("object", "map", "array", "list").Replace(strings.Join(words, ", "))
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		text += fmt.Sprintf(", %d to %d", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		text += fmt.Sprintf(", at least %d", *s.Minimum)
	}
	return text
}

// defaultOf writes the default of the value at a path, or nothing.
func defaultOf(t *testing.T, defaults map[string]any, path string) string {
	t.Helper()
	var at any = defaults
	for name := range strings.SplitSeq(path, ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return ""
		}
		if at, ok = inner[name]; !ok {
			return ""
		}
	}
	var text bytes.Buffer
	to := json.NewEncoder(&text)
	to.SetEscapeHTML(false)
	require.NoError(t, to.Encode(at))
	return "`" + strings.TrimSpace(text.String()) + "`"
}

// TestTheTableOfValues: the chart's README lists each value, its default and
// its meaning, as schema and values.yaml have them.
func TestTheTableOfValues(t *testing.T) {
	s, defaults := chartValues(t)
	table := "\n| value | is | default | meaning |\n| --- | --- | --- | --- |\n"
	s.describe("", func(path string, value schema) {
		require.NotEmpty(t, value.Description, "values.schema.json does not say what %s means", path)
		written := defaultOf(t, defaults, path)
		if path == "config" || value.Properties != nil {
			written = "" // each part has its own line
		}
		table += fmt.Sprintf("| `%s` | %s | %s | %s |\n", path, value.kind(s.Definitions), written,
			strings.ReplaceAll(value.Description, "|", `\|`))
	})
	page := read(t, "helm/svcauth/README.md")
	head, _, found := strings.Cut(page, " -->\n")
	require.True(t, found)
	whole := head + " -->\n" + table
	if os.Getenv("UPDATE_DOCS") == "1" {
		require.NoError(t, os.WriteFile("helm/svcauth/README.md", []byte(whole), 0o644))
		return
	}
	require.Equal(t, whole, page, "write the table anew: UPDATE_DOCS=1 go test ./deploy -run TestTheTableOfValues")
}

// TestValuesSayWhatTheSchemaSays: a comment of values.yaml is the schema's
// description, so that `helm show values`, editors and the table agree; and
// each value has a schema.
func TestValuesSayWhatTheSchemaSays(t *testing.T) {
	s, _ := chartValues(t)
	described := map[string]string{}
	s.describe("", func(path string, value schema) { described[path] = value.Description })
	var file yaml.Node
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "helm/svcauth/values.yaml")), &file))
	compared := 0
	var walk func(path string, mapping *yaml.Node)
	walk = func(path string, mapping *yaml.Node) {
		for i := 0; i+1 < len(mapping.Content); i += 2 {
			key, value := mapping.Content[i], mapping.Content[i+1]
			at := strings.TrimPrefix(path+"."+key.Value, ".")
			var lines []string
			for line := range strings.Lines(key.HeadComment) {
				if !strings.HasPrefix(line, "#   ") { // an example
					lines = append(lines, strings.TrimSpace(strings.TrimLeft(line, "#")))
				}
			}
			if text := strings.TrimSpace(strings.Join(lines, " ")); text != "" {
				if meaning, ok := described[at]; ok {
					require.Equal(t, meaning, text, at)
					compared++
				}
			}
			if value.Kind == yaml.MappingNode {
				walk(at, value)
			}
		}
	}
	walk("", file.Content[0])
	require.Greater(t, compared, 30)
}
