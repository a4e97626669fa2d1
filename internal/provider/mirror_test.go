package provider

import (
	"archive/zip"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	terraformPage = "../../deploy/docs/terraform.md"
	mirrorDir     = "/opt/terraform/providers" // as the page has it
)

// pageBlock returns the one block of code in the page that contains text.
func pageBlock(t *testing.T, text string) string {
	t.Helper()
	var found []string
	for i, block := range strings.Split(read(t, "", terraformPage), "```") {
		if _, code, _ := strings.Cut(block, "\n"); i%2 == 1 && strings.Contains(code, text) {
			found = append(found, code)
		}
	}
	require.Len(t, found, 1, text)
	return found[0]
}

// TestInstallFromAReleaseByAMirror packs the provider as a release does, and
// installs it as the page says: without a registry, with a lock file.
func TestInstallFromAReleaseByAMirror(t *testing.T) {
	w := newWorld(t)
	platform := runtime.GOOS + "_" + runtime.GOARCH
	dist, mirror := t.TempDir(), filepath.Join(t.TempDir(), "providers")
	pack := exec.Command("make", "-C", "../..", "provider-archives", "VERSION=0.1.0", "DIST="+dist,
		"PLATFORMS="+runtime.GOOS+"/"+runtime.GOARCH)
	pack.Env = append(os.Environ(), "HOME="+home)
	out, err := pack.CombinedOutput()
	require.NoError(t, err, string(out))
	requireRegistryShape(t, dist, platform)

	here := strings.NewReplacer(mirrorDir, mirror, "linux_amd64", platform)
	ws := newWorkspace(t)
	w.signIn(ws)
	install := exec.Command("sh", "-euc", here.Replace(pageBlock(t, "sha256sum")))
	install.Dir = dist
	out, err = install.CombinedOutput()
	require.NoError(t, err, string(out))
	require.NoError(t, os.WriteFile(ws.rc, []byte(here.Replace(pageBlock(t, "provider_installation"))), 0o600))
	ws.write("main.tf", pageBlock(t, "required_providers")+"\nresource \"svcauth_role\" \"r\" { name = \"r\" }\n")
	require.Contains(t, ws.must("init"), "Installed svcauth/svcauth v0.1.0 (unauthenticated)")
	lock := func() string { return read(t, ws.dir, ".terraform.lock.hcl") }
	require.Regexp(t, `"registry.terraform.io/svcauth/svcauth" \{\n  version     = "0.1.0"`, lock())
	require.NoError(t, os.Remove(filepath.Join(ws.dir, ".terraform.lock.hcl")))
	_, err = ws.run("/bin/sh", "-euc", regexp.MustCompile(` -platform=darwin_arm64`).
		ReplaceAllString(here.Replace(pageBlock(t, "providers lock")), ""))
	require.NoError(t, err)
	require.Contains(t, lock(), "h1:")
	ws.must("init", "-lockfile=readonly")
	ws.must("apply", "-auto-approve")
	w.roleNamed("r")

	// Something else in the archive's place is not run.
	name := filepath.Join(mirror, "registry.terraform.io/svcauth/svcauth",
		"terraform-provider-svcauth_0.1.0_"+platform+".zip")
	file, err := os.Create(name)
	require.NoError(t, err)
	archive := zip.NewWriter(file)
	_, err = archive.Create("terraform-provider-svcauth_v0.1.0")
	require.NoError(t, err)
	require.NoError(t, archive.Close())
	require.NoError(t, file.Close())
	require.NoError(t, os.RemoveAll(filepath.Join(ws.dir, ".terraform")))
	text, err := ws.try("init")
	require.Error(t, err)
	require.Contains(t, text, "doesn't match any of the checksums")
}

// requireRegistryShape checks names and contents against what a Terraform
// registry takes.
func requireRegistryShape(t *testing.T, dist, platform string) {
	t.Helper()
	const prefix = "terraform-provider-svcauth_0.1.0_"
	files, err := filepath.Glob(filepath.Join(dist, "*"))
	require.NoError(t, err)
	for i := range files {
		files[i] = filepath.Base(files[i])
	}
	require.ElementsMatch(t, []string{prefix + "SHA256SUMS", prefix + "manifest.json", prefix + platform + ".zip"},
		files)
	require.JSONEq(t, `{"version": 1, "metadata": {"protocol_versions": ["6.0"]}}`,
		read(t, dist, prefix+"manifest.json"), "providerserver speaks 6.0")
	require.Regexp(t, fmt.Sprintf(`^[0-9a-f]{64}  %s%s\.zip\n[0-9a-f]{64}  %[1]smanifest\.json\n$`,
		regexp.QuoteMeta(prefix), platform), read(t, dist, prefix+"SHA256SUMS"))
	archive, err := zip.OpenReader(filepath.Join(dist, prefix+platform+".zip"))
	require.NoError(t, err)
	defer func() { _ = archive.Close() }()
	require.Len(t, archive.File, 1)
	require.Regexp(t, `^terraform-provider-svcauth_v0\.1\.0(\.exe)?$`, archive.File[0].Name)
	require.NotZero(t, archive.File[0].Mode()&0o100, "a program")
	require.Equal(t, 1980, archive.File[0].Modified.Year(), "the same archive whenever it is packed")
}
