package deploy_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// composeService is what deploy/compose.yaml may say of a service.
type composeService struct {
	Image           string            `json:"image"`
	Build           map[string]any    `json:"build"`
	Restart         string            `json:"restart"`
	User            string            `json:"user"`
	ReadOnly        bool              `json:"read_only"`
	CapDrop         []string          `json:"cap_drop"`
	CapAdd          []string          `json:"cap_add"`
	SecurityOpt     []string          `json:"security_opt"`
	Tmpfs           []string          `json:"tmpfs"`
	StopGracePeriod string            `json:"stop_grace_period"`
	ShmSize         string            `json:"shm_size"`
	Networks        any               `json:"networks"` // a list, or a map with addresses
	Secrets         []string          `json:"secrets"`
	Environment     map[string]string `json:"environment"`
	Command         []string          `json:"command"`
	Ports           []string          `json:"ports"`
	Volumes         []string          `json:"volumes"`
	Healthcheck     map[string]any    `json:"healthcheck"`
	DependsOn       map[string]struct {
		Condition string `json:"condition"`
	} `json:"depends_on"`
	Deploy struct {
		Resources map[string]map[string]string `json:"resources"`
	} `json:"deploy"`
}

type composeFile struct {
	Name     string                    `json:"name"`
	Common   any                       `json:"x-svcauth"`
	Services map[string]composeService `json:"services"`
	Networks map[string]struct {
		Internal bool           `json:"internal"`
		IPAM     map[string]any `json:"ipam"`
	} `json:"networks"`
	Volumes map[string]any               `json:"volumes"`
	Secrets map[string]map[string]string `json:"secrets"`
}

// parseCompose parses a file, and refuses keys that it does not know. What
// services share is merged first.
func parseCompose(text string) (file composeFile, err error) {
	var merged any
	if err := yaml.Unmarshal([]byte(text), &merged); err != nil {
		return file, err
	}
	raw, err := json.Marshal(merged)
	if err != nil {
		return file, err
	}
	strict := json.NewDecoder(bytes.NewReader(raw))
	strict.DisallowUnknownFields()
	return file, strict.Decode(&file)
}

// TestComposeHoldsTogether parses the file strictly, and finds whatever it
// refers to: Docker's own check needs a plugin that no Debian package has.
func TestComposeHoldsTogether(t *testing.T) {
	file, err := parseCompose(read(t, "compose.yaml"))
	require.NoError(t, err)
	_, err = parseCompose("services: {a: {imagee: x}}")
	require.Error(t, err, "the check must be able to fail")
	made := read(t, "compose/secrets.sh")
	for name, secret := range file.Secrets {
		require.Equal(t, []string{"file"}, slices.Collect(maps.Keys(secret)), name)
		require.Equal(t, "compose/secrets", filepath.Dir(secret["file"]))
		require.Contains(t, made, filepath.Base(secret["file"]))
	}
	for name, s := range file.Services {
		require.NotEmpty(t, s.Image, name)
		require.Contains(t, []string{"unless-stopped", "no"}, s.Restart, name)
		var networks []string
		switch v := s.Networks.(type) {
		case []any:
			for _, one := range v {
				networks = append(networks, one.(string))
			}
		case map[string]any:
			networks = slices.Collect(maps.Keys(v))
		}
		require.NotEmpty(t, networks, name)
		for _, network := range networks {
			require.Contains(t, file.Networks, network, name)
		}
		for _, secret := range s.Secrets {
			require.Contains(t, file.Secrets, secret, name)
		}
		for _, value := range append(slices.Collect(maps.Values(s.Environment)), s.Command...) {
			if secret, ok := strings.CutPrefix(value, "/run/secrets/"); ok {
				require.Contains(t, s.Secrets, secret, name)
			}
		}
		for _, volume := range s.Volumes {
			from, _, _ := strings.Cut(volume, ":")
			if strings.HasPrefix(from, "./") {
				require.FileExists(t, from, name)
			} else {
				require.Contains(t, file.Volumes, from, name)
			}
		}
		for other, needed := range s.DependsOn {
			require.Contains(t, file.Services, other, name)
			require.Contains(t, []string{"service_completed_successfully", "service_healthy"}, needed.Condition)
			if needed.Condition == "service_healthy" && file.Services[other].Healthcheck == nil {
				require.Contains(t, read(t, "Dockerfile"), "\nHEALTHCHECK ", "%s waits for %s", name, other)
			}
		}
		if s.Build != nil {
			context, _ := s.Build["context"].(string)
			recipe, _ := s.Build["dockerfile"].(string)
			require.FileExists(t, filepath.Join(context, recipe), name)
			_, err := os.Stat(filepath.Join(context, "go.mod"))
			require.NoError(t, err, name)
		}
	}
}
