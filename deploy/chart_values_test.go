package deploy_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// values are a chart's values; a name with dots is a path into them.
type values map[string]any

// tree makes nested maps of the paths.
func (v values) tree() map[string]any {
	root := map[string]any{}
	for path, value := range v {
		at, names := root, strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			if _, ok := at[name]; !ok {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
		at[names[len(names)-1]] = value
	}
	return root
}

// minimal is what the chart can't do without.
func minimal() values {
	return values{"config.issuer": "https://auth.example.com",
		"config.database.url": "postgres://svcauth@db.svc:5432/svcauth?sslmode=verify-full"}
}

// with returns the values with others over them.
func (v values) with(others values) values {
	all := maps.Clone(v)
	maps.Copy(all, others)
	return all
}

// template renders the chart with Helm's own program.
func template(t *testing.T, release string, v values) (string, error) {
	t.Helper()
	program := helmProgram(t)
	raw, err := json.Marshal(v.tree())
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "values.json")
	require.NoError(t, os.WriteFile(file, escaped(raw), 0o600))
	cmd := exec.CommandContext(t.Context(), program, "template", release, "svcauth", "--kube-version", "1.31.0", "-f",
		file)
	cmd.Dir = "helm"
	var said strings.Builder
	cmd.Stderr = &said
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said.String())
	}
	return string(out), nil
}

// escaped writes JSON so that YAML takes it: not all that may stand in one as
// it is may in the other.
func escaped(raw []byte) []byte {
	var out []byte
	for _, r := range string(raw) {
		if r < 0x7f || r > 0xffff { // YAML knows no surrogates
			out = utf8.AppendRune(out, r)
		} else {
			out = fmt.Appendf(out, `\u%04x`, r)
		}
	}
	return out
}

// render renders what Kubernetes must take.
func render(t *testing.T, release string, v values) *kubernetes {
	t.Helper()
	manifests, err := template(t, release, v)
	require.NoError(t, err)
	k := decode(t, manifests)
	require.Empty(t, k.refused(), "%s", manifests)
	return k
}
