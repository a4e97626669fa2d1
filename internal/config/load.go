package config

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"

	defaults "github.com/svcauth/svcauth/config"
)

const (
	envPrefix     = "SVCAUTH_"
	envFile       = "SVCAUTH_CONFIG"
	maxFileBytes  = 1 << 20
	sourceDefault = "default"
)

// LoadOptions names what [Load] reads.
type LoadOptions struct {
	// File is the value of --config. If it is empty, SVCAUTH_CONFIG of Environ
	// names the file, and if that is empty too there is none.
	File string

	Environ []string // as from os.Environ

	// Check asks those who will use the values what they would refuse of them.
	// It calls refuse for each key; a nil error refuses nothing. Nil asks
	// nobody.
	Check func(cfg Config, refuse func(key string, err error))
}

// Load reads the embedded defaults, then the file, then the environment, each
// over the one before, and checks the whole. Its error is [Faults]: everything
// that is wrong at once, each with its source.
func Load(opts LoadOptions) (Config, error) {
	l := loader{leaves: leaves(), values: map[string]any{}, sources: map[string]string{}}
	l.addFile("svcauth.yaml", defaults.Defaults, func(int) string { return sourceDefault })
	env, file := environ(opts.Environ), opts.File
	if file == "" {
		file = env[envFile]
	}
	if file != "" {
		if raw, err := readBounded(file); err != nil {
			l.faults.add(file, "", "can't read the configuration file: %v", err)
		} else {
			l.addFile(file, raw, func(line int) string { return fmt.Sprintf("%s:%d", file, line) })
		}
	}
	l.addEnvironment(env)
	cfg := l.decode()
	l.validate(&cfg)
	if opts.Check != nil {
		opts.Check(cfg, l.refuse)
	}
	return cfg, l.faults.orNil()
}

// loader collects the layers, where each value came from, and what is wrong.
type loader struct {
	leaves  []leaf
	values  map[string]any // by key, as the file or the environment has them
	sources map[string]string
	faults  Faults
	broken  map[string]bool // keys whose value could not be decoded: not checked further
}

// refuse adds what the user of a value objects to, unless the key has a fault
// already.
func (l *loader) refuse(key string, err error) {
	faulty := func(f Fault) bool { return f.Key == key }
	if err == nil || l.broken[key] || slices.ContainsFunc(l.faults, faulty) {
		return
	}
	var several Faults
	if errors.As(err, &several) {
		l.faults = append(l.faults, several...)
		return
	}
	l.faults.add(l.sources[key], key, "%v", err)
}

// addFile lays a YAML file over what is there. source names a line of it.
func (l *loader) addFile(name string, raw []byte, source func(line int) string) {
	file, fault := parseYAML(name, raw)
	if fault != nil {
		l.faults = append(l.faults, *fault)
		return
	}
	for _, key := range slices.Sorted(maps.Keys(file.values)) {
		value, from := file.values[key], source(file.lineOf(key))
		switch {
		case slices.ContainsFunc(l.leaves, func(leaf leaf) bool { return leaf.key == key }):
			l.set(key, value, from)
		case l.firstOf(key) != "":
			if !emptySection(value) {
				l.faults.add(from, key,
					"is a section and takes no value of its own; write its keys below it, such as %s", l.firstOf(key))
			}
		default:
			l.faults.add(from, "", "unknown key %s%s", quoteName(key), l.hint(key))
		}
	}
}

func (l *loader) set(key string, value any, source string) {
	l.values[key], l.sources[key] = value, source
}

// firstOf returns the first key of a section, or "" if there is no such
// section.
func (l *loader) firstOf(section string) string {
	for _, leaf := range l.leaves {
		if strings.HasPrefix(leaf.key, section+".") {
			return leaf.key
		}
	}
	return ""
}

func (l *loader) hint(key string) string {
	names := make([]string, len(l.leaves))
	for i, leaf := range l.leaves {
		if strings.HasPrefix(key, leaf.key+".") {
			return "; " + leaf.key + " takes a value, not a section"
		}
		names[i] = leaf.key
	}
	return didYouMean(key, names)
}

// decode fills the struct. A value that can't be decoded is a fault, and its
// field stays at its zero value.
func (l *loader) decode() (cfg Config) {
	l.broken = map[string]bool{}
	cfg.sources = l.sources
	fields := reflect.ValueOf(&cfg).Elem()
	for _, leaf := range l.leaves {
		source, given := l.sources[leaf.key]
		if !given { // the embedded file and the struct disagree, which a test forbids
			l.faults.add("", leaf.key, "has no default")
			continue
		}
		field := fields.FieldByIndex(leaf.index).Addr().Interface()
		if err := decode(field, l.values[leaf.key], source == leaf.env); err != nil {
			l.broken[leaf.key] = true
			l.faults.add(source, leaf.key, "%v", err)
		}
	}
	return cfg
}

// readBounded reads a regular file of at most 1 MiB. Its errors do not repeat
// the name.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, withoutPath(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, withoutPath(err)
	}
	if len(raw) > maxFileBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFileBytes)
	}
	return raw, nil
}

// withoutPath takes from an error of the file system the path, which the fault
// names already.
func withoutPath(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
