package tokensource

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
)

const (
	defaultProfile = "default"
	maxProfileFile = 1 << 20 // bytes
)

// named reports whether a profile or a profile file was named, so that its
// absence is an error.
func (l *loading) named() bool {
	return cmp.Or(
		l.options.Profile,
		l.options.ConfigFile,
		l.options.Getenv("SVCAUTH_PROFILE"),
		l.options.Getenv("SVCAUTH_CONFIG_FILE"),
	) != ""
}

// profile reads the chosen profile. It may be absent only if none was named.
func (l *loading) profile() (source, error) {
	path, home := l.profilePath()
	chosen := cmp.Or(l.options.Profile, l.options.Getenv("SVCAUTH_PROFILE"), defaultProfile)
	name := func(string) string { return fmt.Sprintf("profile %q in %s", chosen, path) }
	result := source{name: name, label: func(key string) string { return key }}
	content, err := readPrivate(path)
	if errors.Is(err, fs.ErrNotExist) && !l.named() {
		result.state = "there is no such file"
		return result, nil
	}
	if err != nil {
		return result, err
	}
	profiles, err := parseProfiles(content)
	if err != nil {
		return result, fmt.Errorf("%s: %w", path, err)
	}
	values, ok := profiles[chosen]
	if !ok && (l.options.Profile != "" || l.options.Getenv("SVCAUTH_PROFILE") != "") {
		return result, fmt.Errorf("there is no profile %q in %s", chosen, path)
	}
	if !ok {
		result.state = "there is no such profile"
	}
	resolve(values, filepath.Dir(path), home)
	result.values = values
	return result, nil
}

// profilePath returns where the profile file is, and the home directory. Each
// may be empty.
func (l *loading) profilePath() (path, home string) {
	path = cmp.Or(l.options.ConfigFile, l.options.Getenv("SVCAUTH_CONFIG_FILE"))
	home = l.options.Getenv("HOME")
	if home == "" {
		home, _ = os.UserHomeDir()
	}
	if path == "" && home != "" {
		path = filepath.Join(home, ".config", "svcauth", "credentials")
	}
	return expand(path, home), home
}

// resolve makes the paths of a profile absolute: a relative one is meant from
// the directory of the profile file.
func resolve(values map[string]string, dir, home string) {
	for _, f := range fields {
		file := expand(values[f.key], home)
		if !f.isPath || file == "" || isContent(file) {
			continue
		}
		if !filepath.IsAbs(file) {
			file = filepath.Join(dir, file)
		}
		values[f.key] = file
	}
}

// expand replaces a leading "~/" by the home directory, as a shell would.
func expand(path, home string) string {
	if rest, ok := strings.CutPrefix(path, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return path
}

// readPrivate reads a file that holds secrets. It checks the mode of the open
// file, so that another file can't take its place in between.
func readPrivate(path string) (string, error) {
	if path == "" {
		return "", fmt.Errorf("the profile file can't be found, because there is no home directory: %w", fs.ErrNotExist)
	}
	// Checked before opening too: opening a named pipe would wait for a writer.
	if info, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("the profile file can't be read: %w", err)
	} else if !info.Mode().IsRegular() {
		return "", fmt.Errorf("the profile file %s is not a regular file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("the profile file can't be read: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return "", fmt.Errorf("the profile file can't be read: %w", err)
	}
	// Windows has no such permissions: the bits that Go shows there are made
	// up.
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" {
		return "", fmt.Errorf(
			"the profile file %s holds secrets, but others may use it too (mode %04o, "+
				"expected 0600); run: chmod 600 %s",
			path,
			mode,
			path,
		)
	}
	content, err := io.ReadAll(io.LimitReader(file, maxProfileFile+1))
	if err == nil && len(content) > maxProfileFile {
		err = errors.New("it is longer than 1 MiB")
	}
	if err != nil {
		return "", fmt.Errorf("the profile file %s can't be read: %w", path, err)
	}
	return string(content), nil
}

// parseProfiles reads "[profile]" and "key = value" lines. Lines that begin
// with # or ; are comments. Errors name the line, never a value.
func parseProfiles(content string) (map[string]map[string]string, error) {
	profiles := map[string]map[string]string{}
	var current map[string]string
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(content, "\ufeff")) {
		number++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line[0] == ';' {
			continue
		}
		if line[0] == '[' {
			name := strings.TrimSpace(strings.Trim(line, "[]"))
			if name == "" || !strings.HasSuffix(line, "]") {
				return nil, fmt.Errorf("line %d: expected [name of a profile]", number)
			}
			if profiles[name] != nil {
				return nil, fmt.Errorf(
					"line %d: profile %q is there twice; put its lines under one heading",
					number,
					name,
				)
			}
			current = map[string]string{}
			profiles[name] = current
			continue
		}
		if err := parseField(current, line); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
	}
	return profiles, nil
}

func parseField(profile map[string]string, line string) error {
	key, value, ok := strings.Cut(line, "=")
	key, value = strings.TrimSpace(key), strings.TrimSpace(value)
	switch {
	case !ok:
		return errors.New("expected key = value, or [name of a profile]")
	case profile == nil:
		return errors.New("expected [name of a profile] before the first key")
	case !slices.Contains(fieldNames(), key):
		return fmt.Errorf("unknown key; known are %s", strings.Join(fieldNames(), ", "))
	}
	if _, twice := profile[key]; twice {
		return fmt.Errorf("%s is there twice in this profile", key)
	}
	if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
		value = value[1 : len(value)-1]
	}
	profile[key] = value
	return nil
}
