package provider

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	dataschema "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/ephemeral"
	"github.com/hashicorp/terraform-plugin-framework/function"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/stretchr/testify/require"
)

const (
	docsDir     = "../../deploy/terraform/docs"
	notesDir    = "../../deploy/terraform/notes"
	examplesDir = "../../deploy/terraform/examples"
	updateDocs  = "UPDATE_DOCS" // =1 writes the pages anew
)

// documented is what all kinds of attributes say of themselves.
type documented interface {
	GetMarkdownDescription() string
	GetType() attrType
	IsRequired() bool
	IsOptional() bool
	IsSensitive() bool
	IsWriteOnly() bool
}

// attributesOf takes the attributes of any kind of schema.
func attributesOf[A documented](all map[string]A) map[string]documented {
	same := map[string]documented{}
	for name, a := range all {
		same[name] = a
	}
	return same
}

// page is one page of the documentation, as the Registry wants it.
type page struct {
	path, title, about, example, more string
	attributes                        map[string]documented
}

func (p page) render(t *testing.T) string {
	var b strings.Builder
	short, _, _ := strings.Cut(p.about, ". ")
	fmt.Fprintf(&b, "---\npage_title: %q\ndescription: |-\n  %s.\n---\n\n# %s\n\n%s\n", p.title,
		strings.TrimSuffix(short, "."), p.title, p.about)
	if text := read(t, examplesDir, p.example); text != "" {
		fmt.Fprintf(&b, "\n## Example\n\n```terraform\n%s```\n", text)
	}
	if text := read(t, notesDir, p.path); text != "" {
		fmt.Fprintf(&b, "\n%s", text)
	}
	b.WriteString(p.more)
	b.WriteString(schemaText(p.attributes))
	if text := read(t, examplesDir, filepath.Join(filepath.Dir(p.example), "import.sh")); text != "" {
		heading := "Import"
		if strings.Contains(b.String(), "\n## Import\n") {
			heading = "Import commands"
		}
		fmt.Fprintf(&b, "\n## %s\n\n```shell\n%s```\n", heading, text)
	}
	return b.String()
}

func read(t *testing.T, dir, path string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(dir, path))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	return string(content)
}

// schemaText lists the attributes: what must be given, what may be, what comes
// back.
func schemaText(attributes map[string]documented) string {
	groups := map[string][]string{}
	for _, name := range slices.Sorted(maps.Keys(attributes)) {
		a := attributes[name]
		group := "Read-only"
		if a.IsRequired() {
			group = "Required"
		} else if a.IsOptional() {
			group = "Optional"
		}
		kind := typeName(a.GetType())
		if a.IsSensitive() {
			kind += ", sensitive"
		}
		if a.IsWriteOnly() {
			kind += ", write-only"
		}
		groups[group] = append(groups[group],
			fmt.Sprintf("- `%s` (%s) %s\n%s", name, kind, a.GetMarkdownDescription(), nested(a)))
	}
	var b strings.Builder
	if len(groups) > 0 {
		b.WriteString("\n## Schema\n")
	}
	for _, group := range []string{"Required", "Optional", "Read-only"} {
		if len(groups[group]) > 0 {
			fmt.Fprintf(&b, "\n### %s\n\n%s", group, strings.Join(groups[group], ""))
		}
	}
	return b.String()
}

// typeName is a type in words.
func typeName(t attrType) string {
	text := t.String()
	switch {
	case strings.Contains(text, "MapType"):
		return "Map"
	case strings.HasPrefix(text, "types.ObjectType"):
		return "Object"
	case strings.Contains(text, "ObjectType"):
		return "List of Object"
	case strings.Contains(text, "SetType"):
		return "Set of String"
	case strings.Contains(text, "Bool"):
		return "Boolean"
	case strings.Contains(text, "Int64"):
		return "Number"
	}
	return "String"
}

func nested(a documented) string {
	list, ok := a.(dataschema.ListNestedAttribute)
	if !ok {
		return ""
	}
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(list.NestedObject.Attributes)) {
		inner := list.NestedObject.Attributes[name]
		fmt.Fprintf(&b, "  - `%s` %s\n", name, inner.GetMarkdownDescription())
		for _, line := range strings.Split(strings.TrimSuffix(nested(inner), "\n"), "\n") {
			if line != "" {
				fmt.Fprintf(&b, "  %s\n", line)
			}
		}
	}
	return b.String()
}

// pages makes every page from what the provider says of itself.
func pages(ctx context.Context) []page {
	p := New("docs")().(*svcauthProvider)
	var ps provider.SchemaResponse
	p.Schema(ctx, provider.SchemaRequest{}, &ps)
	all := []page{
		{
			path:       "index.md",
			title:      "svcauth Provider",
			about:      ps.Schema.MarkdownDescription,
			example:    "provider/provider.tf",
			attributes: attributesOf(ps.Schema.Attributes),
		},
	}
	add := func(kind, file, name, about string, attributes map[string]documented, more string) {
		all = append(all, page{
			path:       fmt.Sprintf("%s/%s.md", kind, strings.TrimPrefix(name, "svcauth_")),
			title:      fmt.Sprintf("%s (%s)", name, kinds[kind]),
			about:      about,
			example:    fmt.Sprintf("%s/%s/%s.tf", kind, name, file),
			attributes: attributes,
			more:       more,
		})
	}
	for _, make := range p.Resources(ctx) {
		var m resource.MetadataResponse
		var s resource.SchemaResponse
		make().Metadata(ctx, resource.MetadataRequest{}, &m)
		make().Schema(ctx, resource.SchemaRequest{}, &s)
		add("resources", "resource", m.TypeName, s.Schema.MarkdownDescription, attributesOf(s.Schema.Attributes), "")
	}
	for _, make := range p.DataSources(ctx) {
		var m datasource.MetadataResponse
		var s datasource.SchemaResponse
		make().Metadata(ctx, datasource.MetadataRequest{}, &m)
		make().Schema(ctx, datasource.SchemaRequest{}, &s)
		add("data-sources", "data-source", m.TypeName, s.Schema.MarkdownDescription, attributesOf(s.Schema.Attributes),
			"")
	}
	for _, make := range p.EphemeralResources(ctx) {
		var m ephemeral.MetadataResponse
		var s ephemeral.SchemaResponse
		make().Metadata(ctx, ephemeral.MetadataRequest{}, &m)
		make().Schema(ctx, ephemeral.SchemaRequest{}, &s)
		add("ephemeral-resources", "ephemeral-resource", m.TypeName, s.Schema.MarkdownDescription,
			attributesOf(s.Schema.Attributes), "")
	}
	for _, make := range p.Functions(ctx) {
		var m function.MetadataResponse
		var d function.DefinitionResponse
		make().Metadata(ctx, function.MetadataRequest{}, &m)
		make().Definition(ctx, function.DefinitionRequest{}, &d)
		parameter := d.Definition.Parameters[0]
		add("functions", "function", m.Name, d.Definition.MarkdownDescription, nil,
			fmt.Sprintf("\n## Signature\n\n```text\n%s(%s string)\n```\n\n## Arguments\n\n1. `%[2]s` (String) %s\n",
				m.Name, parameter.GetName(), parameter.GetMarkdownDescription()))
	}
	return all
}

var kinds = map[string]string{
	"resources":           "Resource",
	"data-sources":        "Data Source",
	"ephemeral-resources": "Ephemeral Resource",
	"functions":           "Function",
}

// The pages say what the provider does: they are made from its schemas, the
// examples and the notes.
func TestDocumentationIsThatOfTheProvider(t *testing.T) {
	written := map[string]bool{}
	for _, p := range pages(t.Context()) {
		require.NotEmpty(t, p.about, p.path)
		require.NotEmpty(t, read(t, examplesDir, p.example), "%s has no example", p.path)
		for name, a := range p.attributes {
			require.NotEmpty(t, a.GetMarkdownDescription(), "%s: %s", p.path, name)
		}
		file := filepath.Join(docsDir, p.path)
		written[p.path] = true
		if os.Getenv(updateDocs) == "1" {
			require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
			require.NoError(t, os.WriteFile(file, []byte(p.render(t)), 0o644))
		}
		require.True(t, p.render(t) == read(t, docsDir, p.path),
			"%s is not what the provider says; run %s=1 go test ./internal/provider -run Documentation", p.path,
			updateDocs)
	}
	for _, pattern := range []string{"*.md", "[^g]*/*.md"} {
		files, err := filepath.Glob(filepath.Join(docsDir, pattern))
		require.NoError(t, err)
		for _, file := range files {
			name, _ := filepath.Rel(docsDir, file)
			require.True(t, written[name], "%s is of nothing that the provider has", name)
		}
	}
}

// Each example, and each piece of configuration in a guide, is what Terraform
// accepts.
func TestExamplesAreValid(t *testing.T) {
	needTerraform(t)
	examples := map[string]string{}
	files, err := filepath.Glob(filepath.Join(examplesDir, "*/*/*.tf"))
	require.NoError(t, err)
	more, err := filepath.Glob(filepath.Join(examplesDir, "*/*.tf"))
	require.NoError(t, err)
	for _, file := range append(files, more...) {
		examples[filepath.ToSlash(file)] = read(t, "", file)
	}
	require.Greater(t, len(examples), 20)
	guides, err := filepath.Glob(filepath.Join(docsDir, "guides/*.md"))
	require.NoError(t, err)
	require.NotEmpty(t, guides)
	for _, file := range guides {
		for i, block := range strings.Split(read(t, "", file), "```terraform\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			examples[fmt.Sprintf("%s#%d", filepath.Base(file), i+1)] = text
		}
	}
	for name, text := range examples {
		t.Run(cmp.Or(strings.TrimPrefix(name, examplesDir+"/"), name), func(t *testing.T) {
			ws := newWorkspace(t)
			if !strings.Contains(text, "required_providers") {
				ws.write("required.tf", required)
			}
			if strings.Contains(text, "time_rotating") {
				ws.withTime()
			}
			ws.write("main.tf", text)
			require.Contains(t, ws.must("validate"), "Success!")
			_, err := ws.try("fmt", "-check")
			require.NoError(t, err, "terraform fmt would write it differently")
		})
	}
}

// The two commands of a newcomer: the second one, against a server that is
// there.
func TestTheQuickstartRuns(t *testing.T) {
	w := newWorld(t)
	ws := newWorkspace(t)
	key := w.Tenant.ApplicationKey
	profile := filepath.Join(ws.dir, "credentials")
	ws.write("credentials",
		fmt.Sprintf("[default]\nurl = %s\nclient_id = %s\nclient_secret = %s\n", w.URL, key.ClientID,
			key.ClientSecret.Reveal()))
	ws.env = append(ws.env, "SVCAUTH_CONFIG_FILE="+profile, "SVCAUTH_TRY_DIR="+filepath.Join(ws.dir, "try"), "HOME="+
		home)
	try := func(args ...string) string {
		out, err := ws.run("../../deploy/terraform/try", args...)
		require.NoError(t, err, out)
		return out
	}
	require.Contains(t, try("apply", "-auto-approve"), "privileges = toset([ \"clusters:view\", ])")
	require.Len(t, w.named("robot").Secrets, 1)
	require.Contains(t, try("apply", "-auto-approve", "-var", "secret_version=2"), "0 added, 1 changed, 0 destroyed")
	require.Len(t, w.named("robot").Secrets, 2)
	require.Contains(t, try("destroy", "-auto-approve"), "4 destroyed")
}
