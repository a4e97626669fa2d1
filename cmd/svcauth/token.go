package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

func tokenCommand() *cobra.Command {
	var scopes, resources []string
	var audience string
	c := verb{use: "token", short: "Fetch an access token: prints the token alone, or with -o json the server's answer",
		long: "The client is the one that the environment or the profile names. " +
			"Without --scope the token carries all that its roles grant; " +
			"without --resource it is for every API that this concerns, the server itself " +
			"aside (--resource with its issuer).",
		example: []string{"svcauth token --resource https://api.cloud.example",
			"svcauth token --scope clusters:view --resource https://api.cloud.example -o json",
			`curl -H "Authorization: Bearer $(svcauth token --resource https://api.cloud.example)" ` +
				"https://api.cloud.example/clusters"},
		flags: func(flags *pflag.FlagSet) {
			flags.Var((*wordList)(&scopes), "scope", "privilege that it shall carry; "+
				"may be repeated, or several with commas (default: all that are granted)")
			flags.StringArrayVar(&resources, "resource", nil,
				"audience that it shall be for (RFC 8707); may be repeated")
			flags.StringVar(&audience, "audience", "", "the same as the audience parameter, once")
		},
		choices: map[string]choices{"scope": privilegeChoices, "resource": apiChoices, "audience": apiChoices},
		run: func(ctx context.Context, s *session, _ []string) error {
			config := s.config
			config.DPoP = false // the key that the token is bound to would end with this process
			config.Scopes, config.Resource = scopes, resources
			if audience != "" {
				config.Audience = []string{audience}
			}
			return s.fetchToken(ctx, config)
		}}.command()
	c.Args = knownVerb
	c.AddCommand(inspectToken(), revokeToken())
	return c
}

func (s *session) fetchToken(ctx context.Context, config tokensource.Config) error {
	tokens, err := tokensource.New(config)
	if err != nil {
		return err
	}
	defer tokens.Close()
	token, err := tokens.Token(ctx)
	if err != nil {
		return err
	}
	if !s.json {
		_, err = fmt.Fprintln(s.out, token.AccessToken)
		return err
	}
	scope, _ := token.Extra("scope").(string)
	return writeJSON(s.out, struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
		ExpiresIn   int64  `json:"expires_in"`
		Scope       string `json:"scope,omitempty"`
	}{token.AccessToken, token.TokenType, token.ExpiresIn, scope})
}

const aboutTokenArgument = `Without an argument, or with -, the token is read from standard input. Give it
that way: as an argument everybody on this machine can read it in the list of
processes, and it stays in the shell's history.`

// tokenOf returns the token from the argument or from standard input.
func (s *session) tokenOf(ctx context.Context, args []string) (string, error) {
	if len(args) == 0 || args[0] == "-" {
		return s.readToken(ctx)
	}
	s.hint("Warning: a token among the arguments can be read in the list of processes; next time: %s - < FILE",
		s.command.CommandPath())
	return args[0], nil
}

// inspection is what token inspect -o json prints.
type inspection struct {
	Valid  bool            `json:"valid"`
	Reason string          `json:"reason,omitempty"` // why it is not
	Header json.RawMessage `json:"header"`
	Claims json.RawMessage `json:"claims"`
}

func inspectToken() *cobra.Command {
	return verb{
		use:     "inspect [TOKEN]",
		short:   "Decode a token and check it against the server's keys: signature, issuer, times",
		offline: true,
		long: aboutTokenArgument + "\n\nIt needs the server's address only. " +
			"Whether the token was revoked is not asked: that is 'svcauth explain -'. " +
			"The status is 1 where the token is not valid.",
		example: []string{"svcauth token | svcauth token inspect", "svcauth token | svcauth token inspect - -o json"},
		run: func(ctx context.Context, s *session, args []string) error {
			text, err := s.tokenOf(ctx, args)
			if err != nil {
				return err
			}
			found, err := decodeToken(text)
			if err != nil {
				return err
			}
			if err := s.verify(ctx, text); err != nil {
				var refusal *resourceserver.Error
				if !errors.As(err, &refusal) || refusal.Code == resourceserver.CodeUnavailable {
					return err
				}
				found.Reason = refusal.Description
			}
			found.Valid = found.Reason == ""
			if err := s.writeInspection(found); err != nil {
				return err
			}
			if !found.Valid {
				return errAnswered
			}
			return nil
		},
	}.command()
}

// verify checks the token as a resource server would, but for any audience.
func (s *session) verify(ctx context.Context, text string) error {
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:         s.config.Issuer,
		Audience:       audienceOf(text),
		HTTPClient:     s.config.HTTPClient,
		RememberTokens: -1,
		Leeway:         -1,
	})
	if err != nil {
		return err
	}
	defer verifier.Close()
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	if err := verifier.Ready(ctx); err != nil {
		return err
	}
	_, err = verifier.Verify(ctx, text)
	return err
}

// audienceOf returns an audience of a token, unverified, or a name that is not
// empty if it can't be read: then the token is refused for that.
func audienceOf(text string) string {
	claims, err := verify.Unverified(text)
	if err != nil || len(claims.Audience) == 0 || claims.Audience[0] == "" {
		return "any"
	}
	return claims.Audience[0]
}

// decodeToken decodes a token without trusting any of it. No error shows a part
// of it.
func decodeToken(text string) (found inspection, err error) {
	parts := strings.Split(text, ".")
	if len(parts) != 3 {
		return found, errors.New("this is no JWT: expected three parts with dots between, as 'svcauth token' prints it")
	}
	for i, into := range []*json.RawMessage{&found.Header, &found.Claims} {
		raw, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || !json.Valid(raw) || len(raw) == 0 || raw[0] != '{' {
			return found, fmt.Errorf("this is no JWT: part %d is not a JSON object in base64url", i+1)
		}
		*into = raw
	}
	return found, nil
}

func (s *session) writeInspection(found inspection) error {
	if s.json {
		return writeJSON(s.out, found)
	}
	verdict := "Valid: signed by " + s.config.Issuer + ", and in its time. Whether it was revoked: 'svcauth explain -'."
	if !found.Valid {
		verdict = "Not valid: " + found.Reason + "."
	}
	if _, err := fmt.Fprintln(s.out, clean(verdict)); err != nil {
		return err
	}
	var fields []field
	for _, part := range []json.RawMessage{found.Header, found.Claims} {
		some, err := claimFields(part, s.now())
		if err != nil {
			return err
		}
		fields = append(fields, some...)
	}
	return writeFields(s.out, fields...)
}

// claimFields lists the members of a JSON object by name, with the meaning of
// times.
func claimFields(object json.RawMessage, now time.Time) ([]field, error) {
	members := map[string]any{}
	d := json.NewDecoder(strings.NewReader(string(object)))
	d.UseNumber()
	if err := d.Decode(&members); err != nil {
		return nil, errors.New("this is no JWT: its JSON can't be read")
	}
	var fields []field
	for name, member := range members {
		f := value(clean(name))
		switch v := member.(type) {
		case []any:
			for _, one := range v {
				f.values = append(f.values, fmt.Sprint(one))
			}
		case json.Number:
			f.values = []string{v.String()}
			if seconds, err := v.Int64(); err == nil && slices.Contains([]string{"exp", "iat", "nbf"}, name) {
				at := time.Unix(seconds, 0)
				f.values[0] += ", " + stamp(now, &at, "")
			}
		default:
			f.values = []string{fmt.Sprint(v)}
		}
		fields = append(fields, f)
	}
	slices.SortFunc(fields, func(a, b field) int { return strings.Compare(a.name, b.name) })
	return fields, nil
}

func revokeToken() *cobra.Command {
	var wait time.Duration
	return verb{use: "revoke [TOKEN]", short: "Revoke a token of your own client (RFC 7009)",
		long: aboutTokenArgument + "\n\nAnother client's token is revoked by its jti: " +
			"'svcauth service-account tokens revoke'. A token that is unknown or expired is no error.",
		example: []string{"svcauth token | svcauth token revoke", "svcauth token | svcauth token revoke - --wait 2s"},
		flags: func(flags *pflag.FlagSet) {
			flags.DurationVar(&wait, "wait", 0,
				"wait so long (2s) until every connected resource server enforces it, and say how many do")
		},
		run: func(ctx context.Context, s *session, args []string) error {
			if wait < 0 || wait > svcauth.MaxWait {
				return wrongUsage("--wait %s: expected a duration up to %s, such as 2s",
					timespan.Text(wait), timespan.Text(svcauth.MaxWait))
			}
			text, err := s.tokenOf(ctx, args)
			if err != nil {
				return err
			}
			e, err := s.tokens.RevokeAndWait(ctx, text, wait)
			if err != nil {
				return err
			}
			return s.reportRemoval(e, "Revoked.")
		}}.command()
}
