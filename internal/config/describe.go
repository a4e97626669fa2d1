package config

import (
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/timespan"
)

// Entry is one effective value as text, and where it came from. Secrets are
// redacted.
type Entry struct {
	Key    string `json:"key"`
	Value  string `json:"value"`
	Source string `json:"source"` // "default", "file:line", or an environment variable's name
}

// Describe returns every key with its effective value and its source, in the
// order of the sample file.
func (c Config) Describe() []Entry {
	fields := reflect.ValueOf(c)
	var out []Entry
	for _, leaf := range leaves() {
		value := show(fields.FieldByIndex(leaf.index).Interface())
		out = append(out, Entry{Key: leaf.key, Value: value, Source: c.sources[leaf.key]})
	}
	return out
}

func show(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return timespan.Text(v)
	case []string:
		return strings.Join(v, ",")
	case []netip.Prefix:
		texts := make([]string, len(v))
		for i, p := range v {
			texts[i] = p.String()
		}
		return strings.Join(texts, ",")
	}
	return fmt.Sprint(value) // Secret and URL redact themselves
}
