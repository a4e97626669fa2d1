package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func explainCommand() *cobra.Command {
	return verb{
		use:   "explain WHAT [PRIVILEGE] [API]",
		short: "Say why a token or a client may do something, or which link of the chain fails",
		long: `WHAT is an access token (- reads it from standard input), a token's jti, a
client_id, a service account's name, or the id of a request: what was refused to
it (req_…: the header X-Request-Id of its answer). Give a token by standard input: as an
argument everybody on this machine can read it in the list of processes, and it
stays in the shell's history.

API is a name or an audience of 'svcauth api list'.

The chain is walked in order: secret, account, roles, privileges, audience,
revocation. The status is 1 where the answer is no.`,
		example: []string{"svcauth token | svcauth explain -", "svcauth explain deployer clusters:edit",
			"svcauth explain deployer clusters:view https://api.cloud.example",
			"svcauth explain req_01h455vb4pex5vsknk084sn02q"},
		choices: map[string]choices{"WHAT": accountChoices, "PRIVILEGE": privilegeChoices, "API": apiChoices},
		run: func(ctx context.Context, s *session, args []string) error {
			question, err := s.question(ctx, args)
			if err != nil {
				return err
			}
			explanation, err := s.client.Explain(ctx, question)
			if err != nil {
				return err
			}
			if s.json {
				err = writeJSON(s.out, explanation)
			} else {
				err = s.writeExplanation(explanation)
			}
			if err == nil && !explanation.Allowed {
				return errAnswered
			}
			return err
		},
	}.command()
}

// question recognizes the first argument by its form.
func (s *session) question(ctx context.Context, args []string) (q svcauth.ExplainRequest, err error) {
	what := args[0]
	if len(args) > 1 {
		q.Privilege = args[1]
	}
	if len(args) > 2 {
		if q.Audience, err = s.audience(ctx, args[2]); err != nil {
			return q, err
		}
	}
	switch {
	case what == "-":
		q.Token, err = s.readToken(ctx)
	case isJWT(what):
		q.Token = what
		s.hint("Warning: a token among the arguments can be read in the list of processes; next time: " +
			"svcauth explain - < FILE")
	case strings.HasPrefix(what, svcauth.PrefixRequest+"_"):
		q.RequestID = what
	case svcauth.ValidClientID(what):
		q.ClientID = what
	default:
		q.ClientID, err = s.accountID(ctx, what)
		if unknown := unknownName(""); errors.As(err, &unknown) && isJTI(what) {
			q.JTI, err = what, nil
		}
	}
	return q, err
}

// isJWT reports whether text has the form of a JWS: three parts with dots
// between, the first of which begins as every JSON object does in base64.
func isJWT(text string) bool { return strings.Count(text, ".") == 2 && strings.HasPrefix(text, "ey") }

// isJTI reports whether text has the form that this server gives a jti: 128
// bits as base64url.
func isJTI(text string) bool {
	return len(text) == 22 && !strings.ContainsFunc(text, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	})
}

func (s *session) writeExplanation(e svcauth.Explanation) error {
	const nameWidth, outcomeWidth = 12, 14
	failed := ""
	for _, step := range e.Steps {
		outcome := map[string]string{
			svcauth.StepOK:      "ok",
			svcauth.StepFailed:  "FAILED",
			svcauth.StepSkipped: "not looked at",
		}[step.Outcome]
		if step.Outcome == svcauth.StepFailed && failed == "" {
			failed = step.Name
		}
		detail := step.Detail
		if detail == outcome {
			detail = ""
		}
		for i, line := range wrap(detail, tableWidth-nameWidth-outcomeWidth-2*columnGap) {
			name := clean(step.Name)
			if i > 0 {
				name, outcome = "", ""
			}
			text := fmt.Sprintf("%-*s  %-*s  %s", nameWidth, name, outcomeWidth, outcome, line)
			if _, err := fmt.Fprintln(s.out, strings.TrimRight(text, " ")); err != nil {
				return err
			}
		}
	}
	verdict := "Yes."
	if !e.Allowed {
		verdict = "No: " + orElse(clean(failed), "one link") + " failed."
	}
	if _, err := fmt.Fprintf(s.out, "\n%s\n", verdict); err != nil || e.LastRefused == nil {
		return err
	}
	_, err := fmt.Fprintf(s.out, "\nLast refused: %s\n", clean(refusalText(*e.LastRefused)))
	return err
}

// refusalText says in one line what was refused, when, why and from where.
func refusalText(r svcauth.Refusal) string {
	text := r.At.UTC().Format(time.RFC3339)
	if r.IP != "" {
		text += " from " + r.IP
	}
	if r.UserAgent != "" {
		text += " (" + r.UserAgent + ")"
	}
	if !r.Authenticated {
		text += ", by somebody who did not prove to be this client"
	}
	text += ": " + r.Code + ": " + r.Detail
	if len(r.RequestIDs) > 0 {
		text += " [" + r.RequestIDs[0] + "]"
	}
	return text
}
