package config

import (
	"fmt"
	"strings"
)

// Fault is one thing that is wrong with the configuration. It never holds a
// secret value.
type Fault struct {
	Source  string // "file:line", an environment variable's name, or "default"
	Key     string // such as "token.ttl"; empty if no single key is to blame
	Problem string // what was wrong, what is expected, what to do
}

// String returns the fault as one line.
func (f Fault) String() string {
	var b strings.Builder
	if f.Source != "" {
		b.WriteString(f.Source + ": ")
	}
	if f.Key != "" {
		b.WriteString(f.Key + ": ")
	}
	return b.String() + f.Problem
}

// Faults is the error of [Load] and [LoadCatalog]: everything that is wrong,
// one line each.
type Faults []Fault

// Error returns one line for each fault.
func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, one := range f {
		lines[i] = one.String()
	}
	return strings.Join(lines, "\n")
}

func (f Faults) orNil() error {
	if len(f) == 0 {
		return nil
	}
	return f
}

func (f *Faults) add(source, key, format string, args ...any) {
	*f = append(*f, Fault{Source: source, Key: key, Problem: fmt.Sprintf(format, args...)})
}
