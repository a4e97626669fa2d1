package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"
)

// clientNames are the variables that the command line and the Terraform
// provider read. The server has no key for them.
var clientNames = []string{
	"SVCAUTH_URL", "SVCAUTH_CLIENT_ID", "SVCAUTH_CLIENT_SECRET", "SVCAUTH_CLIENT_SECRET_FILE", "SVCAUTH_PROFILE",
	envFile, "SVCAUTH_CONFIG_FILE", "SVCAUTH_CA_FILE",
}

// serviceLink matches what Kubernetes puts into every container for a Service
// named svcauth or svcauth-anything. The server must start beside its own
// Service.
var serviceLink = regexp.MustCompile(`^SVCAUTH_([A-Z0-9_]+_)?` +
	`(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// environ returns the variables that begin with SVCAUTH_. As everywhere in
// Unix, the first of two equal names counts.
func environ(list []string) map[string]string {
	out := map[string]string{}
	for _, entry := range list {
		name, value, ok := strings.Cut(entry, "=")
		if _, seen := out[name]; ok && !seen && strings.HasPrefix(name, envPrefix) {
			out[name] = value
		}
	}
	return out
}

// addEnvironment lays the variables over what is there. Keys may hold "_"
// themselves, so a variable's key is looked up, not split.
func (l *loader) addEnvironment(env map[string]string) {
	keys := map[string]string{}
	for _, leaf := range l.leaves {
		keys[leaf.env] = leaf.key
	}
	for _, name := range slices.Sorted(maps.Keys(env)) {
		if key, ok := keys[name]; ok {
			l.set(key, env[name], name)
		} else if !foreign(name) {
			l.faults.add(name, "", "unknown environment variable%s", l.envHint(name))
		}
	}
}

// foreign reports whether a variable is meant for another program.
func foreign(name string) bool {
	return slices.Contains(clientNames, name) || strings.HasPrefix(name, "SVCAUTH_TEST_") ||
		serviceLink.MatchString(name)
}

func (l *loader) envHint(name string) string {
	known := slices.Clone(clientNames)
	for _, leaf := range l.leaves {
		known = append(known, leaf.env)
	}
	return didYouMean(name, known)
}
