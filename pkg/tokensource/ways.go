package tokensource

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// way is one way for a client to authenticate. Adding one means a file with its
// method, a line in ways and its fields.
type way struct {
	name   string   // for messages, with its article
	keys   []string // of the fields that it needs; none is shared with another way
	extras []string // of those that may be set beside them
	// nameless means that it works without a client id, because the assertion
	// names the client or its organization (RFC 7521 §4.2).
	nameless bool
	open     func(Config) method
}

// method is a way that a Config has chosen.
type method interface {
	// check reads what will be read for each request, so that a wrong path is
	// noticed at the start.
	check() error
	// prove returns what one request carries. It is called for each attempt:
	// an assertion may be sent once only (RFC 7523 §3, jti).
	prove(context.Context, *Source) (proof, error)
}

var ways = []way{
	{name: "a secret", keys: []string{"client_secret"}, open: newSecret},
	{name: "a secret", keys: []string{"client_secret_file"}, open: newSecret},
	{name: "a private key", keys: []string{"private_key_file"},
		extras: []string{"private_key_id", "assertion_audience"}, open: newPrivateKey},
	{name: "an assertion", keys: []string{"assertion_file"}, extras: []string{"assertion_type"},
		nameless: true, open: newAssertionFile},
	{name: "an assertion", keys: []string{"assertion_env"}, extras: []string{"assertion_type"},
		nameless: true, open: newAssertionEnv},
	{name: "an assertion", keys: []string{"assertion_from"}, extras: []string{"assertion_audience"},
		nameless: true, open: newPlatform},
	{name: "a certificate", keys: []string{"cert_file", "key_file"}, open: newCertificate},
}

// choose returns the one way for which values are set, or nil if there is none.
// label returns what the user calls a field. The errors name fields, never
// values.
func choose(values map[string]string, label func(key string) string) (*way, error) {
	var chosen *way
	by := ""
	for i := range ways {
		for _, key := range ways[i].keys {
			switch {
			case values[key] == "":
			case chosen == nil:
				chosen, by = &ways[i], key
			case chosen != &ways[i]:
				return nil, fmt.Errorf("both %s and %s are set; set one of them only", label(by), label(key))
			}
		}
	}
	if chosen == nil {
		return nil, nil
	}
	for _, key := range chosen.keys {
		if values[key] == "" {
			return nil, fmt.Errorf("%s is set, but %s is not; set both", label(by), label(key))
		}
	}
	for _, f := range fields {
		if values[f.key] != "" && !f.public && f.key != "client_id" &&
			!slices.Contains(chosen.keys, f.key) && !slices.Contains(chosen.extras, f.key) {
			return nil, fmt.Errorf("%s is of no use with %s; it goes with %s",
				label(f.key), label(by), goesWith(f.key, label))
		}
	}
	return chosen, nil
}

// goesWith lists the fields of the ways beside which a field may be set.
func goesWith(extra string, label func(string) string) string {
	var with []string
	for _, w := range ways {
		if slices.Contains(w.extras, extra) {
			with = append(with, label(w.keys[0]))
		}
	}
	return strings.Join(with, " or ")
}

// choices lists what may be set to authenticate.
func choices(label func(string) string) string {
	var each []string
	for _, w := range ways {
		var keys []string
		for _, key := range w.keys {
			keys = append(keys, label(key))
		}
		each = append(each, strings.Join(keys, " with "))
	}
	return strings.Join(each[:len(each)-1], ", ") + ", or " + each[len(each)-1]
}

// method returns the way that c has chosen. The first error is returned.
func (c Config) method() (method, error) {
	label := func(key string) string { return fields[slices.Index(fieldNames(), key)].name }
	values := c.values()
	for _, f := range fields {
		if f.of == nil || f.public {
			continue
		}
		if err := checkField(f, values[f.key]); err != nil {
			return nil, fmt.Errorf("%s %w", f.name, err)
		}
	}
	chosen, err := choose(values, label)
	if err != nil {
		return nil, err
	}
	if chosen == nil {
		return nil, errors.New("nothing to authenticate with is set; set one of " + choices(label))
	}
	if err := c.checkWith(chosen); err != nil {
		return nil, err
	}
	return chosen.open(c), nil
}

// checkWith checks what else is set beside the chosen way.
func (c Config) checkWith(chosen *way) error {
	switch {
	case c.ClientID == "" && !chosen.nameless:
		return errors.New("ClientID is empty; set it to the client_id of a service account or an application key")
	case c.AuthStyle != Basic && c.AuthStyle != Post:
		return errors.New("the AuthStyle is neither Basic nor Post")
	case slices.Contains(chosen.extras, "assertion_audience") && c.audience() == "" && c.AssertionFrom != HCPTerraform:
		return errors.New("the audience of an assertion is the Issuer, which is not set; set it, " +
			"or AssertionAudience")
	case c.AssertionFrom == HCPTerraform && c.AssertionAudience != "":
		return errors.New("AssertionAudience is of no use with HCP Terraform, which takes the audience from the " +
			"workspace's variable TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH")
	}
	return nil
}
