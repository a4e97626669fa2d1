package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

var aboutAccountKeys = map[string]choices{"SERVICE-ACCOUNT": accountChoices, "KEY": accountKeyChoices}

func accountKeyCommand() *cobra.Command {
	return noun("key",
		"By what public keys a service account proves who it is (private_key_jwt); up to 10 at once",
		[]string{"keys"},
		listAccountKeys(), getAccountKey(), createAccountKey(), updateAccountKey(), deleteAccountKey())
}

// accountKeyChoices returns the ids of the public keys of the service account
// that the first argument names.
func accountKeyChoices(ctx context.Context, s *session, args []string, _ string) ([]string, error) {
	id, err := s.accountID(ctx, args[0])
	if err != nil {
		return nil, err
	}
	found, err := s.client.Keys(ctx, id)
	out := make([]string, 0, len(found.Items))
	for _, one := range found.Items {
		out = append(out, one.ID)
	}
	return out, err
}

func listAccountKeys() *cobra.Command {
	return listing[svcauth.Key]{whole: true,
		verb: verb{
			use:     "list SERVICE-ACCOUNT",
			aliases: []string{"ls"},
			short:   "List a service account's public keys, and when they were used",
			choices: aboutAccountKeys,
			example: []string{"svcauth service-account key list deployer"},
		},
		page: func(ctx context.Context, s *session, args []string,
			_ svcauth.ListOptions) (found svcauth.List[svcauth.Key], err error) {
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return found, err
			}
			return s.client.Keys(ctx, id)
		},
		columns: func(s *session) []column[svcauth.Key] {
			return []column[svcauth.Key]{
				{title: "ID", whole: true, cell: func(k svcauth.Key) string { return k.ID }},
				{title: "KEY", cell: keyTitle},
				{title: "MADE BY", cell: func(k svcauth.Key) string { return k.CreatedBy.Email }},
				{
					title: "LAST USED",
					whole: true,
					cell:  func(k svcauth.Key) string { return agoOr(s.now(), k.LastUsedAt, "never") },
				},
				{
					title: "EXPIRES",
					whole: true,
					cell:  func(k svcauth.Key) string { return agoOr(s.now(), k.ExpiresAt, "never") },
				},
				{title: "DESCRIPTION", cell: func(k svcauth.Key) string { return k.Description }},
			}
		},
		none: "No keys. Make one: svcauth key create FILE; then: " +
			"svcauth service-account key create SERVICE-ACCOUNT --public-key-file PUBLIC",
	}.command()
}

// keyTitle is how people know a key: its thumbprint, or where its client
// publishes keys.
func keyTitle(k svcauth.Key) string { return cmp.Or(k.Thumbprint, k.JWKSURI) }

// publicKeyBody puts the text of a file into a request: PEM, or else a JWK.
func publicKeyBody(body *svcauth.NewKey, file string, stdin io.Reader) error {
	raw, err := readSmallFile("the public key", file, stdin)
	if err != nil {
		return err
	}
	text := strings.TrimSpace(string(raw))
	switch {
	case strings.HasPrefix(text, "-----BEGIN "):
		body.PEM = text
	case json.Valid([]byte(text)) && strings.HasPrefix(text, "{"):
		body.JWK = json.RawMessage(text)
	default:
		return errors.New("the file holds no public key; expected PEM or a JWK, as svcauth key create prints it")
	}
	return nil
}

// maxSmallFile bounds what is read of a file, in bytes. The server takes less.
const maxSmallFile = 64 << 10

// readSmallFile reads what a request has from a file, or from standard input
// for a dash.
func readSmallFile(what, file string, stdin io.Reader) ([]byte, error) {
	from := stdin
	if file != "-" {
		opened, err := os.Open(file)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", what, err)
		}
		defer opened.Close()
		from = opened
	}
	raw, err := io.ReadAll(io.LimitReader(from, maxSmallFile))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", what, err)
	}
	return raw, nil
}

func (s *session) showAccountKey(k svcauth.Key) error {
	now := s.now()
	fields := []field{value("ID", k.ID), value("Thumbprint", k.Thumbprint)}
	if k.JWKSURI != "" {
		fields[1] = value("Published at", k.JWKSURI)
	}
	if k.Kid != "" {
		fields = append(fields, value("Kid", k.Kid))
	}
	if k.AcceptTokenURLAudience {
		fields = append(fields, value("Audience", "the issuer, or the token URL"))
	}
	return s.show(k, append(fields, value("Description", k.Description),
		value("Created", stamp(now, &k.CreatedAt, "")+by(k.CreatedBy)),
		value("Expires", stamp(now, k.ExpiresAt, "never")), value("Last used", stamp(now, k.LastUsedAt, "never")))...)
}

func getAccountKey() *cobra.Command {
	return credentialGet[svcauth.Key]{
		short:    "Show a public key, and when it was used",
		argument: "KEY", choices: aboutAccountKeys, get: (*svcauth.Client).Key,
		example: "svcauth service-account key get deployer key_01h455vb4pex5vsknk084sn02q",
		show:    (*session).showAccountKey,
	}.command()
}

func updateAccountKey() *cobra.Command {
	var description, expires string
	var never, accept bool
	return verb{
		use:     "update SERVICE-ACCOUNT KEY",
		short:   "Change a public key's description, its expiry or what audience it takes",
		choices: aboutAccountKeys,
		example: []string{"svcauth service-account key update deployer key_01h455vb4pex5vsknk084sn02q " +
			"--expires-at 90d"},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&description, "description", "", "new description")
			flags.StringVar(&expires, "expires-at", "", "when it ends: a time, a date or a duration such as 90d")
			flags.BoolVar(&never, "no-expiry", false, "it shall not end by itself")
			flags.BoolVar(&accept, "accept-token-url-audience", false,
				"take assertions whose aud is the token URL, too; =false takes that back")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			patch := svcauth.KeyPatch{Description: s.given("description", &description), ClearExpiresAt: never}
			if s.command.Flags().Changed("accept-token-url-audience") {
				patch.AcceptTokenURLAudience = &accept
			}
			if patch.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			switch {
			case never && expires != "":
				return wrongUsage("--expires-at and --no-expiry exclude each other")
			case patch == (svcauth.KeyPatch{}):
				return wrongUsage("nothing to change: give --description, --expires-at, --no-expiry or " +
					"--accept-token-url-audience")
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			changed, err := s.client.UpdateKey(ctx, id, args[1], patch)
			if err != nil {
				return err
			}
			return s.showAccountKey(changed)
		},
	}.command()
}

func createAccountKey() *cobra.Command {
	var body svcauth.NewKey
	var expires, file string
	return verb{
		use:     "create SERVICE-ACCOUNT",
		short:   "Register a public key for a service account",
		choices: aboutAccountKeys,
		long: "The client then signs an assertion with the private key for each request, and has no secret. " +
			"svcauth key create FILE makes a key pair and prints the public one. With --jwks-uri each key counts " +
			"that the client publishes at that address, so it rotates them by itself.",
		example: []string{
			"svcauth key create client.key | " +
				"svcauth service-account key create deployer --public-key-file - --expires-at 90d",
			"svcauth service-account key create deployer --jwks-uri https://deployer.example.com/keys.json",
		},
		flags: func(flags *pflag.FlagSet) {
			flags.StringVar(&file, "public-key-file", "", "the public key, PEM or a JWK; - reads standard input")
			flags.StringVar(&body.JWKSURI, "jwks-uri", "",
				"instead: the https address at which the client publishes its keys as a JWKS")
			flags.StringVar(&body.Description, "description", "", "what it is for")
			flags.BoolVar(&body.AcceptTokenURLAudience, "accept-token-url-audience", false,
				"take assertions whose aud is the token URL, too: for clients that can't be configured")
			flags.StringVar(&expires, "expires-at", "",
				"when it expires: a time, a date or a duration such as 90d (default: never)")
		},
		run: func(ctx context.Context, s *session, args []string) (err error) {
			if (file == "") == (body.JWKSURI == "") {
				return wrongUsage("expected one of --public-key-file, the file of the public key or - for standard " +
					"input, and --jwks-uri, where the client publishes its keys")
			}
			if body.ExpiresAt, err = momentAhead("expires-at", expires, s.now()); err != nil {
				return err
			}
			if file != "" {
				if err := publicKeyBody(&body, file, s.in); err != nil {
					return err
				}
			}
			id, err := s.accountID(ctx, args[0])
			if err != nil {
				return err
			}
			made, err := s.client.CreateKey(ctx, id, body)
			if err != nil {
				return err
			}
			return s.showAccountKey(made)
		},
	}.command()
}

func deleteAccountKey() *cobra.Command {
	return credentialRemoval{
		noun: "public key", argument: "KEY", choices: aboutAccountKeys, remove: (*svcauth.Client).DeleteKey,
		example: "svcauth service-account key remove deployer key_01h455vb4pex5vsknk084sn02q --revoke-tokens --yes",
		question: func(ctx context.Context, s *session, name, account, id string, _ bool) (string, error) {
			found, err := s.client.Key(ctx, account, id)
			return fmt.Sprintf("Remove public key %s (%s) of service account %s, %s? "+
				"Clients that use it get no token any more.", found.ID, clean(keyTitle(found)),
				called(name, account), lastUsed(s.now(), found.LastUsedAt)), err
		},
	}.command()
}
