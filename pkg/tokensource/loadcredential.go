package tokensource

import (
	"cmp"
	"errors"
	"fmt"
	"os"
)

// HasCredential reports whether the options or the environment have a part of a
// credential, or name a profile that should have one. It reads no file. It is
// for a program that works without one, too.
func (o LoadOptions) HasCredential() bool {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	l := loading{options: o}
	return l.named() || l.given().hasCredential() || l.environment().hasCredential()
}

// hasCredential reports whether the source has a part of one.
func (s source) hasCredential() bool {
	for _, f := range fields {
		if !f.public && s.values[f.key] != "" {
			return true
		}
	}
	return false
}

// credential takes the credential from the first source that has a part of one.
// It returns an error if that source doesn't have all of it.
func (l *loading) credential(config *Config, from *Provenance) error {
	for _, s := range l.sources {
		if s.hasCredential() {
			return l.take(s, config, from)
		}
	}
	return nil
}

func (l *loading) take(s source, config *Config, from *Provenance) error {
	id := s.values["client_id"]
	for _, f := range fields {
		if f.public {
			continue
		}
		if err := checkField(f, s.values[f.key]); err != nil {
			return fmt.Errorf("%s %w", l.called(s, f.key), err)
		}
	}
	label := func(key string) string { return l.called(s, key) }
	chosen, err := choose(s.values, label)
	switch {
	case err != nil:
		return err
	case chosen == nil:
		if err := l.platform(&s, from); err != nil {
			return err
		}
	case id == "" && !chosen.nameless:
		return fmt.Errorf("%s gives %s but no client_id; all of a credential must come from one source, so set %s too",
			s.name(""), chosen.name, label("client_id"))
	default:
		from.Credential = s.name(chosen.keys[0])
	}
	if id != "" {
		from.ClientID = s.name("client_id")
	}
	for _, f := range fields {
		if f.of != nil && !f.public {
			*f.of(config) = s.values[f.key]
		}
	}
	return nil
}

// called returns what messages call a field of a source: a profile's has the
// same name in every profile, so the profile is named too.
func (l *loading) called(s source, key string) string {
	if label := s.label(key); label == key {
		return key + " of " + s.name(key)
	}
	return s.name(key)
}

// platform completes a source that has nothing to prove its client with.
func (l *loading) platform(s *source, from *Provenance) error {
	platform, variable, needs := platformAt(l.options.Getenv)
	if platform == "" {
		var given string
		for _, f := range fields {
			if !f.public && s.values[f.key] != "" {
				given = cmp.Or(given, l.called(*s, f.key))
			}
		}
		text := fmt.Sprintf("%s is set, but neither a secret nor anything else that proves who asks; all of a "+
			"credential must come from one source, so set one of these too: %s", given, choices(s.label))
		if needs != "" {
			text += "; or " + needs
		}
		return errors.New(text)
	}
	s.values["assertion_from"] = platform
	from.Credential = "environment " + variable
	if _, err := choose(s.values, func(key string) string {
		if key == "assertion_from" {
			return from.Credential
		}
		return l.called(*s, key)
	}); err != nil {
		return err
	}
	if platform == HCPTerraform && s.values["assertion_audience"] != "" {
		return fmt.Errorf("%s is of no use in HCP Terraform: %s", l.called(*s, "assertion_audience"), hcpNeeds)
	}
	return nil
}
