package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// accountTokenFlags say what the tokens of an account are for by default, and
// which claims of its own they have.
type accountTokenFlags struct {
	resource, file string
	claims         []string
}

func (f *accountTokenFlags) add(flags *pflag.FlagSet, instead string) {
	flags.StringVar(&f.resource, "default-resource", "",
		"the API that its tokens are for if a request names none, nor a scope: an audience of 'svcauth api list' "+
			"(default: every API of which it holds a privilege)")
	flags.StringArrayVar(&f.claims, "claim", nil,
		"NAME=TEXT, a claim of its own for its tokens; once for each"+instead)
	flags.StringVar(&f.file, "claims-file", "",
		"a file with its claims as a JSON object, for values that are no texts; "+
			"- for standard input"+instead)
}

// values returns the claims that the flags give; an empty --claim gives none.
// given reports whether there is one of the flags.
func (f *accountTokenFlags) values(s *session) (claims map[string]any, given bool, err error) {
	switch byFile := s.command.Flags().Changed("claims-file"); {
	case byFile && s.command.Flags().Changed("claim"):
		return nil, false, wrongUsage("--claim and --claims-file: give the claims by one of them")
	case byFile:
		claims, err = f.read(s)
		return claims, true, err
	case !s.command.Flags().Changed("claim"):
		return nil, false, nil
	}
	claims = map[string]any{}
	if strings.Join(f.claims, "") == "" {
		return claims, true, nil
	}
	pairs, err := claimPairs(f.claims)
	for name, text := range pairs {
		claims[name] = text
	}
	return claims, true, err
}

// read reads the file. It leaves to the server what claims may be.
func (f *accountTokenFlags) read(s *session) (map[string]any, error) {
	var claims map[string]any
	raw, err := readSmallFile("the claims", f.file, s.in)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(raw, &claims); err != nil || claims == nil {
		return nil, fmt.Errorf(`--claims-file %s: expected a JSON object, such as {"tier": "gold"}`, clean(f.file))
	}
	return claims, nil
}

// claimPairs reads NAME=TEXT.
func claimPairs(pairs []string) (map[string]string, error) {
	values := map[string]string{}
	for _, pair := range pairs {
		name, text, ok := strings.Cut(pair, "=")
		if !ok || name == "" || text == "" {
			return nil, wrongUsage("--claim %s: expected NAME=TEXT", clean(pair))
		}
		if _, again := values[name]; again {
			return nil, wrongUsage("--claim %s: the claim is given twice; keep one", clean(pair))
		}
		values[name] = text
	}
	return values, nil
}

// claimLines shows an account's own claims, one a line.
func claimLines(claims map[string]any) (lines []string) {
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		one, _ := svcauth.ClaimsText(map[string]any{name: claims[name]})
		lines = append(lines, one)
	}
	return lines
}
