// Package internal_test holds the house's rules as tests: who may import whom
// (design §3), and how code is written (§11).
package internal_test

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/svcauth/svcauth/"

// pkg is one package as `go list` knows it, without its tests. Names of our own
// are without the module's.
type pkg struct {
	ImportPath   string
	Dir          string
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
	Imports      []string // what it names itself
	Deps         []string // and what that brings along
}

func packages(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Dir,GoFiles,TestGoFiles,XTestGoFiles,Imports,Deps", "./...")
	cmd.Dir = ".."
	raw, err := cmd.Output()
	require.NoError(t, err)
	var all []pkg
	for decoder := json.NewDecoder(strings.NewReader(string(raw))); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		p.ImportPath = short(p.ImportPath)
		for _, list := range [][]string{p.Imports, p.Deps} {
			for i := range list {
				list[i] = short(list[i])
			}
		}
		all = append(all, p)
	}
	require.Greater(t, len(all), 15)
	return all
}

func short(name string) string {
	own, ok := strings.CutPrefix(name, module)
	if !ok && strings.HasPrefix(name, "internal/") {
		return "std/" + name // not to be taken for one of ours
	}
	return own
}

// within reports whether a package is one of the named, or below one.
func within(name string, trees ...string) bool {
	return slices.ContainsFunc(trees,
		func(tree string) bool { return name == tree || strings.HasPrefix(name, tree+"/") })
}

// TestEachTechnologyHasItsPlace is design §3.2: a technology is named in few
// packages, so that it can be replaced and reasoned about there. svctest starts
// real servers for tests and is in no program.
func TestEachTechnologyHasItsPlace(t *testing.T) {
	places := map[string][]string{
		"database/sql":             {"internal/store", "internal/svctest/dbdump"},
		"github.com/jackc/pgx":     {"internal/store", "internal/svctest/dbdump"},
		"modernc.org/sqlite":       {"internal/store", "internal/svctest/dbdump"},
		"github.com/pressly/goose": {"internal/store"},
		"github.com/redis/go-redis": {"internal/cache", "pkg/resourceserver/redisfeed",
			"pkg/resourceserver/redisproofs"},
		"github.com/gin-gonic/gin": {"internal/request", "internal/server", "internal/oauth", "internal/manage",
			"internal/console", "pkg/resourceserver/ginauth"},
		"github.com/danielgtaylor/huma": {"internal/manage"},
		"github.com/go-oauth2/oauth2":   {"internal/token"},
		"github.com/golang-jwt/jwt": {"internal/keyring", "internal/verify", "internal/token",
			"deploy/validating/golang-jwt"},
		"github.com/maypok86/otter":      {"internal/clientauth"},
		"github.com/alexedwards/scs":     {"internal/console"},
		"go.yaml.in/yaml":                {"internal/config"},
		"github.com/spf13/cobra":         {"cmd/svcauth"},
		"github.com/prometheus":          {"internal/telemetry"},
		"github.com/hashicorp/terraform": {"internal/provider", "cmd/terraform-provider-svcauth"},
		"github.com/stretchr/testify":    {"internal/svctest"},
		"testing":                        {"internal/svctest"},
		"html/template":                  {"internal/console", "internal/guide"},
		"github.com/yuin/goldmark":       {"internal/guide"},
		"os/exec":                        {"internal/svctest", "internal/bench", "internal/passwords", "cmd/svcauth"},
		"unsafe":                         {},
		"C":                              {},
		"math/rand":                      {}, // v2 for jitter; crypto/rand for everything else
		"encoding/gob":                   {},
		"crypto/md5":                     {},
		"crypto/sha1":                    {},
		"golang.org/x/crypto/bcrypt":     {},
		"github.com/dgrijalva/jwt-go":    {},
		"github.com/go-redis/redis":      {},
		"github.com/go-oauth2/redis":     {},
		"github.com/tidwall/buntdb":      {},
		"github.com/mattn/go-sqlite3":    {},
	}
	for _, p := range packages(t) {
		for _, name := range p.Imports {
			for technology, allowed := range places {
				isIt := name == technology || strings.HasPrefix(name, technology+"/") && technology != "testing" &&
					technology != "math/rand" ||
					strings.HasPrefix(technology, "github.com/hashicorp/terraform") &&
						strings.HasPrefix(name, technology)
				require.False(t, isIt && !within(p.ImportPath, allowed...), "%s imports %s, which belongs to %v",
					p.ImportPath, name, allowed)
			}
		}
	}
}

// kit is what the public packages share with the server. Anybody may import it,
// so it stands on the standard library alone. Only internal/verify, the core of
// pkg/resourceserver, and internal/dpop, which stands on that, bring golang-jwt
// and the nouns. The kit lies in internal and not in pkg/internal because the
// compiler would keep the server out of there.
var kit = []string{"internal/dpop", "internal/httpx", "internal/jwk", "internal/jws", "internal/possession",
	"internal/timespan", "internal/typeid", "internal/untrusted", "internal/verify", "internal/wire"}

// verifyBrings is what internal/verify may bring along beside the kit.
var verifyBrings = []string{"github.com/golang-jwt/jwt/v5", "pkg/svcauth"}

// TestTheKitStandsOnTheStandardLibraryAlone is what lets pkg import it.
func TestTheKitStandsOnTheStandardLibraryAlone(t *testing.T) {
	found := 0
	for _, p := range packages(t) {
		if !slices.Contains(kit, p.ImportPath) {
			continue
		}
		found++
		for _, name := range p.Deps {
			if within(p.ImportPath, "internal/verify", "internal/dpop") && slices.Contains(verifyBrings, name) {
				continue
			}
			first, _, _ := strings.Cut(name, "/")
			require.False(t, strings.Contains(first, ".") || within(name, "cmd", "pkg", "config") ||
				within(name, "internal") && !slices.Contains(kit, name),
				"%s brings %s along", p.ImportPath, name)
		}
	}
	require.Equal(t, len(kit), found)
}

// TestImportsPointDownward lists for each package which of ours it may import.
// pkg/svcauth, the nouns, and the kit are everybody's.
func TestImportsPointDownward(t *testing.T) {
	down := map[string][]string{
		"config":                         {},
		"internal/dpop":                  {},
		"internal/possession":            {},
		"internal/httpx":                 {},
		"internal/jwk":                   {},
		"internal/jws":                   {},
		"internal/builtin":               {},
		"internal/timespan":              {},
		"internal/typeid":                {},
		"internal/untrusted":             {},
		"internal/profile":               {},
		"internal/verify":                {},
		"internal/wire":                  {},
		"pkg/svcauth":                    {},
		"pkg/tokensource":                {},
		"pkg/resourceserver":             {},
		"pkg/resourceserver/ginauth":     {"pkg/resourceserver"},
		"pkg/resourceserver/redisfeed":   {"pkg/resourceserver"},
		"pkg/resourceserver/redisproofs": {"pkg/resourceserver"},
		"internal/config":                {"internal/builtin", "internal/profile", "config", "internal/cache"},
		"internal/telemetry":             {},
		"internal/limits":                {},
		"internal/batch":                 {},
		"internal/remotekeys":            {"internal/limits"},
		"internal/passwords":             {},
		"internal/store":                 {"internal/away", "internal/limits"},
		"internal/audit":                 {"internal/limits", "internal/store"},
		"internal/refusals":              {"internal/limits", "internal/store"},
		"internal/cache":                 {"internal/away", "internal/batch", "internal/limits"},
		"internal/keyring":               {"internal/profile", "internal/store"},
		"internal/changelog":             {"internal/limits", "internal/store", "internal/cache"},
		"internal/feed":                  {"internal/limits", "internal/store", "internal/cache", "internal/changelog"},
		"internal/apidoc":                {},
		"internal/away":                  {},
		"internal":                       {},
		"internal/guide":                 {"internal", "config"},
		"deploy/docs":                    {},
		"internal/paging":                {},
		"internal/access": {"internal/away", "internal/builtin", "internal/profile", "internal/clientcert",
			"internal/federation", "internal/limits",
			"internal/paging", "internal/audit",
			"internal/refusals", "internal/store",
			"internal/cache", "internal/keyring"},
		"internal/people": {"internal/limits", "internal/paging", "internal/passwords", "internal/audit",
			"internal/store", "internal/access"},
		"internal/federation": {"internal/remotekeys"},
		"internal/oautherr":   {"internal/away", "internal/store"},
		"internal/clientcert": {},
		"internal/clientauth": {"internal/batch", "internal/federation", "internal/remotekeys",
			"internal/clientcert", "internal/limits", "internal/oautherr", "internal/audit",
			"internal/store",
			"internal/cache"},
		"internal/token": {"internal/away", "internal/builtin", "internal/profile", "internal/federation",
			"internal/limits", "internal/oautherr",
			"internal/clientauth",
			"internal/store", "internal/cache", "internal/keyring", "internal/changelog", "internal/access"},
		"internal/request": {"internal/limits", "internal/oautherr", "internal/clientauth"},
		"internal/oauth": {"internal/limits", "internal/apidoc", "internal/request", "internal/refusals",
			"internal/oautherr",
			"internal/clientauth", "internal/token", "internal/feed"},
		"internal/manage": {"internal/away", "internal/builtin", "internal/limits", "internal/apidoc", "internal/guide",
			"internal/request", "internal/oautherr", "internal/access", "internal/people", "internal/token"},
		"internal/server": {"internal/limits", "internal/apidoc", "internal/request", "internal/oautherr",
			"internal/oauth", "internal/manage", "internal/token", "internal/telemetry", "internal/refusals"},
		"internal/console": {"internal/away", "internal/limits", "internal/request", "internal/access",
			"internal/people",
			"internal/token", "internal/telemetry"},
		"internal/provider":              {"internal/clientcert", "pkg/tokensource"},
		"internal/bench":                 {"pkg/tokensource", "pkg/resourceserver"},
		"cmd/example-api":                {"pkg/resourceserver", "pkg/resourceserver/redisproofs", "pkg/tokensource"},
		"cmd/terraform-provider-svcauth": {"internal/provider"},
		"deploy/validating/go":           {"pkg/resourceserver"},
		"deploy/validating/golang-jwt":   {},
		"cmd/svcauth": {"config", "internal/app", "internal/access", "internal/away", "internal/people",
			"internal/config", "internal/passwords", "internal/store", "pkg/tokensource", "pkg/resourceserver"},
	}
	everything := []string{"internal/app", "internal/svctest", "internal/drill"} // these put whole servers together
	for _, p := range packages(t) {
		allowed, known := down[p.ImportPath]
		if within(p.ImportPath, everything...) || len(p.GoFiles) == 0 {
			continue
		}
		require.True(t, known, "%s is a new package: say here what it may import", p.ImportPath)
		for _, name := range p.Imports {
			if within(name, "cmd", "pkg", "internal", "config") {
				require.True(t, name == "pkg/svcauth" || slices.Contains(kit, name) || slices.Contains(allowed, name),
					"%s imports %s; it may import %v", p.ImportPath, name, allowed)
			}
			require.False(t, within(name, "internal/svctest") && !within(p.ImportPath, "internal/svctest"),
				"%s imports %s, which is for tests", p.ImportPath, name)
		}
	}
}

// TestPkgBringsLittleAlong is design §3.1, with all that is brought along: a
// program that imports pkg gets the kit and nothing of the server.
func TestPkgBringsLittleAlong(t *testing.T) {
	for _, p := range packages(t) {
		if !within(p.ImportPath, "pkg") {
			continue
		}
		for _, name := range p.Deps {
			forbidden := within(name, "internal") && !slices.Contains(kit, name) || within(name, "database/sql") ||
				strings.Contains(name, "sqlite") || strings.Contains(name, "jackc/pgx") ||
				strings.Contains(name, "redis") && !strings.HasPrefix(name, "pkg/") &&
					!within(p.ImportPath, "pkg/resourceserver/redisfeed", "pkg/resourceserver/redisproofs") ||
				strings.Contains(name, "gin-gonic") && p.ImportPath != "pkg/resourceserver/ginauth" ||
				within(name, "github.com/stretchr/testify", "testing")
			require.False(t, forbidden, "%s brings %s along", p.ImportPath, name)
		}
	}
}

// TestProgramsHoldNoTestCode: what starts servers for tests is in no binary.
func TestProgramsHoldNoTestCode(t *testing.T) {
	for _, p := range packages(t) {
		if within(p.ImportPath, "cmd") {
			for _, name := range p.Deps {
				viaPlugin := name == "testing" &&
					p.ImportPath == "cmd/terraform-provider-svcauth" // the plugin framework brings it
				require.False(t, !viaPlugin && within(name, "internal/svctest", "github.com/stretchr/testify",
					"testing"), "%s contains %s", p.ImportPath, name)
			}
		}
	}
}
