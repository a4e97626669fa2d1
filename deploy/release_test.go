package deploy_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

// releases are the sections of the change log, newest first: what it calls
// them, and their text.
func releases(t *testing.T) (names []string, texts map[string]string) {
	t.Helper()
	texts = map[string]string{}
	for _, section := range strings.Split(read(t, "../.github/CHANGELOG.md"), "\n## ")[1:] {
		name, text, _ := strings.Cut(section, "\n")
		names, texts[name] = append(names, name), text
	}
	require.NotEmpty(t, names)
	return names, texts
}

func TestTheChartIsOfTheNewestReleaseOfTheChangeLog(t *testing.T) {
	var chart struct{ Version, AppVersion string }
	require.NoError(t, sigsyaml.Unmarshal([]byte(read(t, "helm/svcauth/Chart.yaml")), &chart))
	names, _ := releases(t)
	require.Equal(t, names[0], chart.Version)
	require.Equal(t, names[0], chart.AppVersion)
}

func TestEachReleaseSaysHowToUpgradeToIt(t *testing.T) {
	names, texts := releases(t)
	for _, name := range names {
		require.Regexp(t, `^\d+\.\d+\.\d+$`, name)
		_, upgrade, found := strings.Cut(texts[name], "\n### Upgrade\n")
		require.True(t, found, "%s has no section Upgrade", name)
		require.Contains(t, upgrade, "svcauth migrate\n")
	}
}

// TestThePageOfVersionsSaysWhatIsTried: what `make versions` pins, and what
// else the repository says of versions, stands on the page, and no other
// PostgreSQL or Go is called tested.
func TestThePageOfVersionsSaysWhatIsTried(t *testing.T) {
	cells := map[string][]string{}
	for line := range strings.Lines(read(t, "docs/versions.md")) {
		if row := strings.Split(line, "|"); len(row) == 6 {
			name, _, _ := strings.Cut(strings.TrimSpace(row[1]), ",")
			cells[name] = []string{strings.TrimSpace(row[2]), strings.TrimSpace(row[3])}
		}
	}
	version := regexp.MustCompile(`\d+(\.\d+)+`)
	tried := func(name string) []string { return version.FindAllString(cells[name][1], -1) }

	var pins struct{ Dependencies map[string]string }
	require.NoError(t, json.Unmarshal([]byte(read(t, "../.ci/postgresql/package.json")), &pins))
	databases := []string{"15.18"} // Debian's, which no file of ours pins
	for _, pin := range pins.Dependencies {
		databases = append(databases, regexp.MustCompile(`@(\d+\.\d+)\.`).FindStringSubmatch(pin)[1])
	}
	require.ElementsMatch(t, databases, tried("PostgreSQL"))
	releasesOfGo := regexp.MustCompile(`GO_VERSIONS:-([^}]*)`).FindStringSubmatch(read(t, "../.ci/versions"))[1]
	require.Equal(t, strings.Fields(releasesOfGo), tried("Go"))
	oldest := regexp.MustCompile(`(?m)^go (\d+\.\d+)\.`).FindStringSubmatch(read(t, "../go.mod"))[1]
	require.Equal(t, oldest+" and newer", cells["Go"][0])
	for _, workflow := range []string{"release", "test"} {
		pinned := regexp.MustCompile(`terraform_version: "(.*)"`).
			FindStringSubmatch(read(t, "../.github/workflows/"+workflow+".yaml"))[1]
		require.Equal(t, []string{pinned}, tried("Terraform"))
	}
	helm := regexp.MustCompile(`(?m)^export HELM .*@v(.*)$`).FindStringSubmatch(read(t, "../Makefile"))[1]
	require.Equal(t, []string{helm}, tried("Helm"))
	cluster := regexp.MustCompile(`kubeVersion: ">=(\d+\.\d+)`).
		FindStringSubmatch(read(t, "helm/svcauth/Chart.yaml"))[1]
	require.Equal(t, cluster+" and newer", cells["Kubernetes"][0])
}

// The image's program is built as the archives' is, by the same release of Go,
// so that the same commit gives the same program.
func TestTheImageIsBuiltAsTheArchivesAre(t *testing.T) {
	flags := regexp.MustCompile(`(?m)^BUILDFLAGS = (.*)$`).FindStringSubmatch(read(t, "../Makefile"))[1]
	dockerfile := read(t, "Dockerfile")
	require.Contains(t, dockerfile, strings.NewReplacer("'", `"`, "$(VERSION)", "$VERSION").Replace(flags))
	oldest := regexp.MustCompile(`(?m)^go (\d+\.\d+)\.`).FindStringSubmatch(read(t, "../go.mod"))[1]
	require.Contains(t, dockerfile, "golang:"+oldest+" ")
	compose := read(t, "compose.yaml")
	for image, name := range map[string]string{"postgres": "PostgreSQL", "redis": "Redis"} {
		major := regexp.MustCompile(`image: ` + image + `:(\d+)`).FindStringSubmatch(compose)[1]
		require.Regexp(t, `(?m)^\| `+name+` \|.*\b`+major+`\.\d`, read(t, "docs/versions.md"))
	}
}

// tagged makes a copy of the repository's last commit with a tag, and returns
// where it is.
func tagged(t *testing.T, tag string) string {
	t.Helper()
	needs.Service(t, "git")
	if _, err := os.Stat("../.git"); err != nil {
		t.Skip("this is no checkout: there is nothing that could be tagged")
	}
	dir := filepath.Join(t.TempDir(), "clone")
	run(t, ".", "git", "clone", "--quiet", "--no-tags", "--depth=1", "file://"+rootOf(t), dir)
	run(t, dir, "git", "tag", tag)
	return dir
}

func rootOf(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("..")
	require.NoError(t, err)
	return root
}

// A tag that the change log does not know is refused before anything is built.
func TestATagThatTheChangeLogLacksIsNoRelease(t *testing.T) {
	if os.Getenv("HELM") == "" || os.Getenv("SBOM") == "" {
		t.Skip("make test names the releases of the tools")
	}
	out, err := exec.CommandContext(t.Context(), "make", "-C", tagged(t, "v987.6.5"), "release").CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, `this is tagged v987\.6\.5, but the newest release in .github/CHANGELOG.md is \S+: write there`,
		string(out))
}

// TestRelease makes the release of the newest tag of the change log, for this
// machine and for Windows, and looks at each part.
func TestRelease(t *testing.T) {
	if os.Getenv("SVCAUTH_TEST_LONG") != "1" {
		t.Skip("takes some minutes: set SVCAUTH_TEST_LONG=1")
	}
	names, texts := releases(t)
	version, here := names[0], runtime.GOOS+"_"+runtime.GOARCH
	dir := tagged(t, "v"+version)
	run(t, dir, "make", "release", "PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH+" windows/amd64")
	dist := filepath.Join(dir, "bin", "release")

	run(t, dist, "sha256sum", "--strict", "--check", "SHA256SUMS")
	entries, err := os.ReadDir(dist)
	require.NoError(t, err)
	sums := read(t, filepath.Join(dist, "SHA256SUMS"))
	var all []string
	for _, entry := range entries {
		all = append(all, entry.Name())
		if entry.Name() != "SHA256SUMS" {
			require.Contains(t, sums, "  "+entry.Name()+"\n")
		}
	}
	program, provider := "svcauth_"+version+"_", "terraform-provider-svcauth_"+version+"_"
	require.ElementsMatch(t, []string{"CHANGELOG.md", "LICENSES.txt", "SHA256SUMS", "svcauth-" + version + ".tgz",
		program + here + ".tar.gz", program + here + ".cdx.json",
		program + "windows_amd64.zip", program + "windows_amd64.cdx.json",
		provider + here + ".zip", provider + here + ".cdx.json",
		provider + "windows_amd64.zip", provider + "windows_amd64.cdx.json",
		provider + "manifest.json", provider + "SHA256SUMS"}, all)

	at := t.TempDir()
	run(t, at, "tar", "-xzf", filepath.Join(dist, program+here+".tar.gz"))
	unpacked := filepath.Join(at, program+here)
	said := run(t, at, filepath.Join(unpacked, "svcauth"), "version")
	require.True(t, strings.HasPrefix(said, "svcauth "+version+" ("), said)
	for _, name := range []string{"config/svcauth.yaml", "config/production.yaml", "config/catalog.yaml",
		"LICENSES.txt", "CHANGELOG.md", "systemd/svcauth.service"} {
		require.NotEmpty(t, read(t, filepath.Join(unpacked, name)))
	}
	listed := run(t, at, "unzip", "-l", filepath.Join(dist, program+"windows_amd64.zip"))
	require.Contains(t, listed, program+"windows_amd64/svcauth.exe")
	require.NotContains(t, listed, "systemd")

	billed(t, filepath.Join(dist, program+here+".cdx.json"), "github.com/jackc/pgx/v5", version)
	billed(t, filepath.Join(dist, provider+"windows_amd64.cdx.json"),
		"github.com/hashicorp/terraform-plugin-framework", version)
	chart := run(t, dist, helmProgram(t), "show", "chart", "svcauth-"+version+".tgz")
	require.Contains(t, chart, "version: "+version+"\n")
	notes := read(t, dist+".md")
	require.Contains(t, texts[version], strings.Split(strings.TrimSpace(notes), "\n")[0])
	require.NotContains(t, notes, "](../", "the page of a release is elsewhere than the change log")
}

// billed checks a bill of materials: it names the module that is linked in, and
// none that is for tests only.
func billed(t *testing.T, path, module, version string) {
	t.Helper()
	var bill struct {
		BOMFormat  string
		Metadata   struct{ Component struct{ Version string } }
		Components []struct {
			Name, Version, PURL string
			Evidence            struct {
				Licenses []struct{ License struct{ ID string } }
			}
		}
	}
	require.NoError(t, json.Unmarshal([]byte(read(t, path)), &bill))
	require.Equal(t, "CycloneDX", bill.BOMFormat)
	require.Equal(t, version, bill.Metadata.Component.Version)
	named := map[string]bool{}
	for _, c := range bill.Components {
		named[c.Name] = true
		require.NotEmpty(t, c.Version, c.Name)
		require.Regexp(t, `^pkg:golang/`, c.PURL)
	}
	require.True(t, named[module], "%s is not in %s", module, path)
	require.True(t, named["std"], "what Go itself brings")
	require.False(t, named["github.com/stretchr/testify"])
}
