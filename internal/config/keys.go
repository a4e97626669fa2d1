package config

import (
	"reflect"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// leaf is one key and the field that it fills.
type leaf struct {
	key   string // "token.ttl"
	env   string // "SVCAUTH_TOKEN_TTL"
	index []int  // of the field in Config
}

// leaves returns every key in the order of the struct, which is that of the
// sample file.
func leaves() []leaf { return leavesOf(reflect.TypeFor[Config](), "", nil) }

func leavesOf(t reflect.Type, prefix string, index []int) (out []leaf) {
	for i := range t.NumField() {
		field := t.Field(i)
		if !field.IsExported() {
			continue
		}
		key, at := prefix+field.Tag.Get("key"), append(slices.Clone(index), i)
		if field.Type.Kind() == reflect.Struct {
			out = append(out, leavesOf(field.Type, key+".", at)...)
			continue
		}
		out = append(out, leaf{key: key, env: envName(key), index: at})
	}
	return out
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// didYouMean returns "; did you mean X?" for the nearest known name, or "" if
// none is near.
func didYouMean(got string, known []string) string {
	best, near := "", 1+min(3, len(got)/3)
	for _, k := range known {
		if d := untrusted.Distance(got, k); d < near {
			best, near = k, d
		}
	}
	if best == "" { // the last word right, its section forgotten or wrong
		tail := got[strings.LastIndexByte(got, '.')+1:]
		for _, k := range known {
			if k[strings.LastIndexByte(k, '.')+1:] == tail && k != got {
				best = k
				break
			}
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}
