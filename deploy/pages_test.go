package deploy_test

import (
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// TestWhatThePagesCommandIsThere: the targets of make, the services of compose,
// the program that the pages call, the Deployment in Kubernetes, and the test
// that reckons for other numbers.
func TestWhatThePagesCommandIsThere(t *testing.T) {
	pages := map[string]string{}
	for _, name := range []string{
		"../README.md", "docs/run.md", "docs/upgrade.md", "docs/terraform.md", "docs/sizing.md",
	} {
		pages[name] = read(t, name)
	}
	var compose struct {
		Services map[string]any `json:"services"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "compose.yaml")), &compose))
	kubernetes := render(t, "svcauth", minimal())
	found := map[string]int{}
	for name, text := range pages {
		for line := range strings.Lines(text) {
			command, ok := commandOf(line)
			if !ok {
				continue
			}
			words := strings.Fields(command)
			found[words[0]]++
			switch words[0] {
			case "make":
				args := append([]string{"-n", "-C", ".."}, words[1:]...)
				out, err := exec.CommandContext(t.Context(), "make", args...).CombinedOutput()
				require.NoError(t, err, "%s: %s\n%s", name, command, out)
			case "docker":
				require.Equal(t, "compose", words[1], "%s: %s", name, command)
				require.Contains(t, []string{"build", "exec", "run", "up"}, words[2], "%s: %s", name, command)
				if service := words[len(words)-1]; len(words) > 3 {
					require.Contains(t, compose.Services, service, "%s: %s", name, command)
				}
			case "kubectl":
				require.Equal(t, []string{"exec", "deployment/" + kubernetes.deployment.Name, "--"}, words[1:4],
					"%s: %s", name, command)
				require.Contains(t, read(t, "Dockerfile"), `ENTRYPOINT ["`+words[4]+`"]`, "%s: %s", name, command)
			default: // go test
				require.Contains(t, command, " go test ", "%s: %s", name, command)
				test := words[len(words)-2]
				require.Contains(t, read(t, "sizing_test.go"), "func "+test, "%s: %s", name, command)
				require.Equal(t, "./deploy/", words[len(words)-1])
				numbers, _, _ := strings.Cut(command, " go test ")
				for _, pair := range regexp.MustCompile(`(\w+)=\d+`).FindAllStringSubmatch(numbers, -1) {
					require.Contains(t, text, "| `"+pair[1]+"` |", "%s: %s", name, command)
				}
			}
		}
	}
	require.GreaterOrEqual(t, found["make"], 3)
	require.Equal(t, 4, found["docker"])
	require.Equal(t, 1, found["kubectl"])
}

// commandOf returns the command in a line of a block of code. Those of svcauth
// and of Terraform have tests of their own.
func commandOf(line string) (command string, ok bool) {
	command = strings.TrimSpace(line)
	command, _, _ = strings.Cut(command, " # ")
	indented := strings.HasPrefix(line, "    ")
	for _, begin := range []string{"make ", "kubectl ", "SIZING="} {
		if indented && strings.HasPrefix(command, begin) {
			return command, true
		}
	}
	return command, strings.HasPrefix(line, "docker ")
}
