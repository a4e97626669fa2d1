package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

var aboutFederated = map[string]choices{
	"SERVICE-ACCOUNT": accountChoices, "CREDENTIAL": federatedChoices,
	"preset": fixed(svcauth.FederatedPresets()...), "privilege": privilegeChoices,
}

func accountFederatedCommand() *cobra.Command {
	return noun("federated-credential", "A service account's federated credentials: tokens of other issuers, such as "+
		"GitHub Actions, that prove it", []string{"federated-credentials", "fed"},
		listFederated(), getFederated(), createFederated(), updateFederated(), deleteFederated())
}

// federatedCommand has what is about the federated credentials of the whole
// organization.
func federatedCommand() *cobra.Command {
	return noun("federated-credential", "Try a token of another issuer with all federated credentials",
		[]string{"federated-credentials"}, testFederated())
}

func listFederated() *cobra.Command {
	type one = svcauth.FederatedCredential
	return listing[one]{whole: true,
		verb: verb{
			use:     "list SERVICE-ACCOUNT",
			aliases: []string{"ls"},
			short:   "List a service account's federated credentials",
			choices: aboutFederated,
			example: []string{"svcauth service-account federated-credential list deployer"},
		},
		page: func(ctx context.Context, s *session, args []string, _ svcauth.ListOptions) (found svcauth.List[one],
			err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.FederatedCredentials(ctx, id)
		},
		columns: func(s *session) []column[one] {
			ago := func(at *time.Time) string { return agoOr(s.now(), at, "never") }
			return []column[one]{
				{title: "NAME", cell: func(f one) string { return f.Name }},
				{title: "ID", whole: true, cell: func(f one) string { return f.ID }},
				{title: "ISSUER", cell: func(f one) string { return f.Issuer }},
				{title: "SUBJECT", cell: func(f one) string { return f.Subject }},
				{title: "LAST USED", whole: true, cell: func(f one) string { return ago(f.LastUsedAt) }},
				{title: "EXPIRES", whole: true, cell: func(f one) string { return ago(f.ExpiresAt) }},
				{title: "WARNINGS", wide: true, cell: func(f one) string { return fmt.Sprint(len(f.Warnings)) }},
			}
		},
		none: "No federated credentials. Make one: svcauth service-account federated-credential create " +
			"SERVICE-ACCOUNT NAME",
	}.command()
}

// showFederated prints a credential and what is to be said of it.
func (s *session) showFederated(f svcauth.FederatedCredential) error {
	now, claims := s.now(), []string{}
	for _, name := range slices.Sorted(maps.Keys(f.Claims)) {
		claims = append(claims, name+"="+f.Claims[name])
	}
	keys, life := "fetched by discovery", "no longer than the issuer's token"
	switch {
	case f.JWKS != nil:
		keys = "given"
	case f.JWKSURI != "":
		keys = f.JWKSURI
	}
	if f.TTLSeconds != 0 {
		life = timespan.Text(time.Duration(f.TTLSeconds) * time.Second)
	}
	err := s.show(f,
		value("ID", f.ID), value("Name", f.Name), value("Description", f.Description), value("Preset", f.Preset),
		value("Issuer", f.Issuer), value("Subject", f.Subject), value("Claims", claims...),
		value("Audience", f.Audience), value("Keys", keys), value("Algorithms", strings.Join(f.Algorithms, ", ")),
		value("Maximum age", timespan.Text(time.Duration(f.MaxAge)*time.Second)),
		value("One-time", yesNo(f.OneTime)), value("Privileges at most", f.Privileges...),
		value("Token lifetime", life),
		value("Created", stamp(now, &f.CreatedAt, "")+by(f.CreatedBy)),
		value("Expires", stamp(now, f.ExpiresAt, "never")),
		value("Last used", stamp(now, f.LastUsedAt, "never")))
	for _, w := range f.Warnings {
		s.hint("Warning: %s", clean(w.Message))
	}
	return err
}

func getFederated() *cobra.Command {
	return credentialGet[svcauth.FederatedCredential]{
		short:    "Show a federated credential, and by what others could come to have tokens that fit it",
		argument: "CREDENTIAL", choices: aboutFederated, get: (*svcauth.Client).FederatedCredential,
		example: "svcauth service-account federated-credential get deployer fed_01h455vb4pex5vsknk084sn02q",
		show:    (*session).showFederated,
	}.command()
}

// federatedFlags are what a federated credential is made or changed by.
type federatedFlags struct {
	description, issuer, audience, subject, jwksFile, jwksURI, expires string
	claims, algorithms, privileges                                     []string
	maxAge, ttl                                                        time.Duration
	oneTime, strict                                                    bool
	removal
}

func (f *federatedFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.description, "description", "", "what it is for")
	flags.StringVar(&f.issuer, "issuer", "", "the iss of its tokens, to the letter")
	flags.StringVar(&f.audience, "audience", "", "the only aud of its tokens (default: the server's issuer)")
	flags.StringVar(&f.subject, "subject", "", "the sub of its tokens, whole")
	flags.StringArrayVar(&f.claims, "claim", nil, "NAME=TEXT, a claim that its tokens have; once for each")
	flags.StringVar(&f.jwksFile, "jwks-file", "", "a file with the issuer's key set, if the server can't fetch it")
	flags.StringVar(&f.jwksURI, "jwks-uri", "", "where the issuer's key set is, if it has no discovery")
	flags.StringSliceVar(&f.algorithms, "algorithm", nil, "an algorithm that its tokens are signed with; once for each")
	flags.StringSliceVar(&f.privileges, "privilege", nil, "what tokens got by it carry at most; once for each")
	flags.DurationVar(&f.maxAge, "max-age", 0, "how old its tokens may be (default: 1h, or the preset's)")
	flags.DurationVar(&f.ttl, "token-ttl", 0, "how long tokens got by it live at most, up to 1h (default: as "+
		"long as the "+
		"issuer's token)")
	flags.BoolVar(&f.oneTime, "one-time", false, "each of its tokens works once, and must have a jti")
	flags.StringVar(&f.expires, "expires-at", "", "when it ends: a time, a date or a duration such as 90d")
	flags.BoolVar(&f.strict, "strict", false, "refuse it if there is anything to warn of, rather than ask")
	f.yesFlag(flags)
}

// save makes a credential or changes one. It asks first if there is something
// to warn of.
func (f *federatedFlags) save(
	ctx context.Context, s *session, save func(svcauth.Caution) (svcauth.FederatedCredential, error),
) error {
	var saved svcauth.FederatedCredential
	change := func(c svcauth.Caution) (err error) {
		saved, err = save(c)
		return err
	}
	var err error
	if f.strict {
		err = change(svcauth.Caution{Strict: true})
	} else {
		err = f.cautiously(ctx, s, change)
	}
	if err != nil {
		return err
	}
	return s.showFederated(saved)
}

// keySet reads the file with the key set, if there is one.
func (f *federatedFlags) keySet() (json.RawMessage, error) {
	if f.jwksFile == "" {
		return nil, nil
	}
	raw, err := os.ReadFile(f.jwksFile)
	if err != nil {
		return nil, fmt.Errorf("read the key set: %w", err)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("--jwks-file %s: expected a JWKS (RFC 7517 §5) in JSON", f.jwksFile)
	}
	return raw, nil
}

func createFederated() *cobra.Command {
	var f federatedFlags
	var preset string
	return verb{
		use:     "create SERVICE-ACCOUNT NAME",
		short:   "Let tokens of another issuer prove a service account",
		choices: aboutFederated,
		long: "A preset fills in what is the same for each credential of its kind, and warns of names that can " +
			"be taken over: it asks first then. Values are compared exactly. Have the issuer make its tokens for " +
			"this server's issuer as audience.",
		example: []string{"svcauth service-account federated-credential create deployer production --preset github " +
			"--subject repo:acme@77/app@1234:environment:production --claim environment=production"},
		flags: func(flags *pflag.FlagSet) {
			f.add(flags)
			flags.StringVar(&preset, "preset", "", "what kind of issuer: "+
				""+strings.Join(svcauth.FederatedPresets(), ", "))
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			body := svcauth.NewFederatedCredential{
				Name: args[1], Description: f.description, Preset: preset, Issuer: f.issuer, Audience: f.audience,
				Subject: f.subject, JWKSURI: f.jwksURI, Algorithms: f.algorithms, MaxAge: int(f.maxAge.Seconds()),
				OneTime: f.oneTime, Privileges: f.privileges, TTLSeconds: int(f.ttl.Seconds()),
			}
			if body.Claims, err = claimPairs(f.claims); err != nil {
				return err
			}
			if body.JWKS, err = f.keySet(); err != nil {
				return err
			}
			if body.ExpiresAt, err = momentAhead("expires-at", f.expires, s.now()); err != nil {
				return err
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			return f.save(ctx, s, func(c svcauth.Caution) (svcauth.FederatedCredential, error) {
				body.Caution = c
				return s.client.CreateFederatedCredential(ctx, id, body)
			})
		},
	}.command()
}

func updateFederated() *cobra.Command {
	var f federatedFlags
	var name string
	return verb{
		use:     "update SERVICE-ACCOUNT CREDENTIAL",
		short:   "Change a federated credential; what is not given stays",
		choices: aboutFederated,
		long: "An empty --expires-at, --jwks-file, --jwks-uri or --privilege takes the expiry, the key set, its " +
			"address or the bound away.",
		example: []string{"svcauth service-account federated-credential update deployer " +
			"fed_01h455vb4pex5vsknk084sn02q --claim environment=staging"},
		flags: func(flags *pflag.FlagSet) {
			f.add(flags)
			flags.StringVar(&name, "name", "", "new name")
		},
		run: func(ctx context.Context, s *session, args []string) error {
			patch, err := s.federatedPatch(&f, &name)
			if err != nil {
				return err
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			return f.save(ctx, s, func(c svcauth.Caution) (svcauth.FederatedCredential, error) {
				patch.Caution = c
				return s.client.UpdateFederatedCredential(ctx, id, args[1], patch)
			})
		},
	}.command()
}

// federatedPatch returns the change that the flags ask for.
func (s *session) federatedPatch(f *federatedFlags, name *string) (p svcauth.FederatedCredentialPatch, err error) {
	given := s.command.Flags().Changed
	p = svcauth.FederatedCredentialPatch{
		Name: s.given("name", name), Description: s.given("description", &f.description),
		Issuer: s.given("issuer", &f.issuer), Audience: s.given("audience", &f.audience),
		Subject:        s.given("subject", &f.subject),
		ClearExpiresAt: given("expires-at") && f.expires == "", ClearJWKSURI: given("jwks-uri") && f.jwksURI == "",
		ClearPrivileges: given("privilege") && strings.Join(f.privileges, "") == "",
		ClearJWKS:       given("jwks-file") && f.jwksFile == "",
	}
	if given("jwks-uri") && f.jwksURI != "" {
		p.JWKSURI = &f.jwksURI
	}
	if given("privilege") && !p.ClearPrivileges {
		p.Privileges = &f.privileges
	}
	if given("algorithm") {
		p.Algorithms = &f.algorithms
	}
	if given("one-time") {
		p.OneTime = &f.oneTime
	}
	if given("max-age") {
		seconds := int(f.maxAge.Seconds())
		p.MaxAge = &seconds
	}
	if given("token-ttl") {
		seconds := int(f.ttl.Seconds())
		p.TTLSeconds = &seconds
	}
	if given("claim") {
		claims, err := claimPairs(f.claims)
		if err != nil {
			return p, err
		}
		p.Claims = &claims
	}
	if p.JWKS, err = f.keySet(); err != nil {
		return p, err
	}
	p.ExpiresAt, err = momentAhead("expires-at", f.expires, s.now())
	return p, err
}

func deleteFederated() *cobra.Command {
	return credentialRemoval{
		noun: "federated credential", argument: "CREDENTIAL", choices: aboutFederated,
		remove: (*svcauth.Client).DeleteFederatedCredential,
		example: "svcauth service-account federated-credential remove deployer " +
			"fed_01h455vb4pex5vsknk084sn02q --revoke-tokens --yes",
		question: func(ctx context.Context, s *session, name, account, id string, _ bool) (string, error) {
			one, err := s.client.FederatedCredential(ctx, account, id)
			return fmt.Sprintf("Remove the federated credential %s (%s) of service account %s, %s? "+
				"Workloads that use it get no token any more.", clean(one.Name), one.ID,
				called(name, account), lastUsed(s.now(), one.LastUsedAt)), err
		},
	}.command()
}

// federatedChoices returns the ids of the federated credentials of the service
// account that the first argument names.
func federatedChoices(ctx context.Context, s *session, args []string, _ string) (ids []string, err error) {
	id, err := s.accountID(ctx, args[0])
	if err != nil {
		return nil, err
	}
	found, err := s.client.FederatedCredentials(ctx, id)
	for _, one := range found.Items {
		ids = append(ids, one.ID)
	}
	return ids, err
}
