package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"

	"github.com/knadh/koanf/v2"

	defaults "github.com/svcauth/svcauth/config"
)

const (
	envPrefix     = "SVCAUTH_"
	envFile       = "SVCAUTH_CONFIG"
	maxFileBytes  = 1 << 20
	sourceDefault = "default"
)

// LoadOptions says where to read from.
type LoadOptions struct {
	File    string   // of --config; empty: SVCAUTH_CONFIG of Environ; empty too: no file
	Environ []string // as of os.Environ; nil: none

	// Check asks those who will use the values what they would refuse of them. It
	// calls refuse for each key; a nil error refuses nothing. nil: nobody is asked.
	Check func(cfg Config, refuse func(key string, err error))
}

// Load reads the embedded defaults, then the file, then the environment, each over the one before, and checks the whole.
// The error is [Faults]: everything that is wrong at once, each with its source.
func Load(opts LoadOptions) (Config, error) {
	l := loader{all: koanf.New("."), leaves: leaves(), sources: map[string]string{}}
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

// refuse adds what the user of a value says of it, unless the key has a fault
// already.
func (l *loader) refuse(key string, err error) {
	if err == nil || l.broken[key] || slices.ContainsFunc(l.faults, func(f Fault) bool { return f.Key == key }) {
		return
	}
	var several Faults
	if errors.As(err, &several) {
		l.faults = append(l.faults, several...)
		return
	}
	l.faults.add(l.sources[key], key, "%v", err)
}

// loader collects the layers, where each value came from, and what is wrong.
type loader struct {
	all     *koanf.Koanf
	leaves  []leaf
	sources map[string]string
	faults  Faults
	broken  map[string]bool // keys whose value could not be decoded: not checked further
}

// addFile lays a YAML file over what is there. source gives the name of a line.
func (l *loader) addFile(name string, raw []byte, source func(line int) string) {
	layer, lines, err := parseYAML(name, raw)
	if err != nil {
		var fault Fault
		if errors.As(err, &fault) {
			l.faults = append(l.faults, fault)
		} else {
			l.faults.add(name, "", "%v", err)
		}
		return
	}
	known := map[string]bool{}
	for _, leaf := range l.leaves {
		known[leaf.key] = true
	}
	for _, key := range layer.Keys() {
		value, from := layer.Get(key), source(lines.of(key))
		switch {
		case known[key]:
			l.set(key, value, from)
		case l.isSection(key):
			if !emptyValue(value) {
				l.faults.add(from, key, "is a section and takes no value of its own; write its keys below it, such as %s", l.firstOf(key))
			}
		default:
			l.faults.add(from, "", "unknown key %s%s", quoteName(key), l.hint(key))
		}
	}
}

func (l *loader) set(key string, value any, source string) {
	if err := l.all.Set(key, value); err != nil {
		l.faults.add(source, key, "%v", err)
		return
	}
	l.sources[key] = source
}

// emptyValue is what a section whose keys are all commented out looks like.
func emptyValue(v any) bool {
	m, isMap := v.(map[string]any)
	return v == nil || isMap && len(m) == 0
}

func (l *loader) isSection(key string) bool { return l.firstOf(key) != "" }

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

// decode fills the struct. A value that can't be decoded is a fault, and its key is left at its zero value.
func (l *loader) decode() (cfg Config) {
	l.broken = map[string]bool{}
	cfg.sources = l.sources
	fields := reflect.ValueOf(&cfg).Elem()
	for _, leaf := range l.leaves {
		source, given := l.sources[leaf.key]
		if !given { // only where the embedded file and the struct disagree, which a test forbids
			l.faults.add("", leaf.key, "has no default")
			continue
		}
		decoded, err := decodeValue(leaf.target, l.all.Get(leaf.key), source == leaf.env)
		if err != nil {
			l.broken[leaf.key] = true
			l.faults.add(source, leaf.key, "%v", err)
			continue
		}
		fields.FieldByIndex(leaf.index).Set(decoded)
	}
	return cfg
}

// readBounded reads a regular file of at most 1 MiB. Its errors do not repeat the name.
func readBounded(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, reason(err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, maxFileBytes+1))
	if err != nil {
		return nil, reason(err)
	}
	if len(raw) > maxFileBytes {
		return nil, fmt.Errorf("it is larger than %d bytes", maxFileBytes)
	}
	return raw, nil
}

// reason is an error of the file system without the path, which the fault names already.
func reason(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
