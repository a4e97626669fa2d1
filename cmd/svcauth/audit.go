package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func auditCommand() *cobra.Command {
	return noun("audit", "The audit log: each change and each refused change", nil, listEvents(), exportEvents())
}

// auditQuery are the filters of the audit log.
type auditQuery struct {
	filter       svcauth.AuditFilter
	actions      wordList
	since, until string
}

var aboutEvents = map[string]choices{"action": fixed(svcauth.AuditActions()...), "actor": accountChoices}

func (q *auditQuery) flags(flags *pflag.FlagSet) {
	flags.StringVar(&q.filter.Actor, "actor", "",
		"only what this one did: an id, a member's address or a service account's name as it was then, or system")
	flags.StringVar(&q.filter.Target, "target", "", "only what was done to this: an id, or a name as it was then")
	flags.Var(&q.actions, "action",
		"only this, such as service_account.create, or all of a noun: secret.*; "+
			"may be repeated, or several with commas")
	flags.StringVar(&q.until, "until", "", "before: a time, a date, or a duration back from now such as 24h or 7d")
}

func (q *auditQuery) sinceFlag(flags *pflag.FlagSet, also string) {
	flags.StringVar(&q.since, "since", "",
		"not before: a time, a date, or a duration back from now such as 24h or 7d"+also)
}

// resolve returns the filter. A word that is no action is a wrong usage.
func (q *auditQuery) resolve(s *session) (svcauth.AuditFilter, error) {
	f := q.filter
	if _, err := svcauth.ParseAuditActions(q.actions...); err != nil {
		return f, wrongUsage("--action: %v", err)
	}
	f.Action = strings.Join(q.actions, ",")
	for _, bound := range []struct {
		flag, text string
		into       *time.Time
	}{{"since", q.since, &f.Since}, {"until", q.until, &f.Until}} {
		if bound.text == "" {
			continue
		}
		at, err := moment(bound.flag, bound.text, s.now(), -1)
		if err != nil {
			return f, err
		}
		*bound.into = at
	}
	return f, nil
}

func listEvents() *cobra.Command {
	q := &auditQuery{}
	return listing[svcauth.AuditEvent]{
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List audit events, newest first",
			flags:   func(flags *pflag.FlagSet) { q.flags(flags); q.sinceFlag(flags, "") },
			choices: aboutEvents,
			example: []string{"svcauth audit list --since 24h --action 'secret.*'",
				"svcauth audit list --actor admin@example.com --action service_account.create -o json"},
		},
		page: func(ctx context.Context, s *session, _ []string,
			o svcauth.ListOptions) (found svcauth.List[svcauth.AuditEvent], err error) {
			filter, err := q.resolve(s)
			if err != nil {
				return found, err
			}
			filter.ListOptions = o
			return s.client.AuditEvents(ctx, filter)
		},
		columns: func(*session) []column[svcauth.AuditEvent] {
			return []column[svcauth.AuditEvent]{
				{
					title: "TIME (UTC)",
					whole: true,
					cell:  func(e svcauth.AuditEvent) string { return e.Time.UTC().Format("2006-01-02 15:04:05") },
				},
				{title: "ID", wide: true, cell: func(e svcauth.AuditEvent) string { return e.ID }},
				{title: "ACTOR", cell: func(e svcauth.AuditEvent) string { return orElse(e.Actor.Name, e.Actor.ID) }},
				{title: "ACTION", last: true, cell: func(e svcauth.AuditEvent) string { return e.Action }},
				{
					title: "TARGET",
					cell:  func(e svcauth.AuditEvent) string { return orElse(e.Target.Name, e.Target.ID) },
				},
				{title: "OUTCOME", whole: true, cell: outcomeOf},
				{title: "REASON", wide: true, cell: func(e svcauth.AuditEvent) string { return orElse(e.Reason, "-") }},
				{title: "IP", wide: true, cell: func(e svcauth.AuditEvent) string { return orElse(e.IP, "-") }},
				{
					title: "CLIENT",
					wide:  true,
					cell:  func(e svcauth.AuditEvent) string { return orElse(e.Actor.ClientID, "-") },
				},
				{
					title: "REQUEST",
					wide:  true,
					cell:  func(e svcauth.AuditEvent) string { return orElse(e.RequestID, "-") },
				},
			}
		},
		none: "No such events.",
	}.command()
}

// outcomeOf returns the outcome, and how many equal events the row stands for.
func outcomeOf(e svcauth.AuditEvent) string {
	if e.Count > 1 {
		return fmt.Sprintf("%s %d times", e.Outcome, e.Count)
	}
	return e.Outcome
}

func orElse(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}
