package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
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
	since, until string
}

func (q *auditQuery) flags(flags *pflag.FlagSet) {
	flags.StringVar(&q.filter.Actor, "actor", "",
		"only what this one did: an id, a member's address, a service account's name, or system")
	flags.StringVar(&q.filter.Target, "target", "", "only what was done to this id")
	flags.StringVar(&q.filter.Action, "action", "", "only this, such as service_account.create")
	flags.StringVar(&q.since, "since", "", "not before: a time, a date, or a duration back from now such as 24h or 7d")
	flags.StringVar(&q.until, "until", "", "before: the same")
}

// resolve turns the names in the filters into ids, which the API expects.
func (q *auditQuery) resolve(ctx context.Context, s *session) (svcauth.AuditFilter, error) {
	f := q.filter
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
	if f.Actor == "" {
		return f, nil
	}
	var err error
	f.Actor, err = s.actorID(ctx, f.Actor)
	return f, err
}

func listEvents() *cobra.Command {
	q := &auditQuery{}
	return listing[svcauth.AuditEvent]{
		verb: verb{
			use:     "list",
			aliases: []string{"ls"},
			short:   "List audit events, newest first",
			flags:   q.flags,
			example: []string{"svcauth audit list --since 24h",
				"svcauth audit list --actor admin@example.com --action service_account.create -o json"},
		},
		page: func(ctx context.Context, s *session, _ []string,
			o svcauth.ListOptions) (found svcauth.List[svcauth.AuditEvent], err error) {
			filter, err := q.resolve(ctx, s)
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
				{title: "ACTOR", cell: func(e svcauth.AuditEvent) string { return orElse(e.Actor.Name, e.Actor.ID) }},
				{title: "ACTION", last: true, cell: func(e svcauth.AuditEvent) string { return e.Action }},
				{
					title: "TARGET",
					cell:  func(e svcauth.AuditEvent) string { return orElse(e.Target.Name, e.Target.ID) },
				},
				{title: "OUTCOME", whole: true, cell: outcomeOf},
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

func exportEvents() *cobra.Command {
	q := &auditQuery{}
	return verb{
		use:   "export",
		short: "Write all audit events to standard output, one JSON object a line, newest first",
		flags: q.flags,
		long: "Each line is an event as the API gives it. What is added meanwhile is not in it. " +
			"Where it breaks off, the message names the --until to go on with.",
		example: []string{"svcauth audit export --since 30d > audit.ndjson",
			"svcauth audit export --action token.revoke | wc -l"},
		run: func(ctx context.Context, s *session, _ []string) error {
			filter, err := q.resolve(ctx, s)
			if err != nil {
				return err
			}
			return s.export(ctx, filter)
		},
	}.command()
}

func (s *session) export(ctx context.Context, filter svcauth.AuditFilter) error {
	out := bufio.NewWriter(s.out)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	written, last := 0, time.Time{}
	page := func(ctx context.Context, o svcauth.ListOptions) (found svcauth.List[svcauth.AuditEvent], err error) {
		if err := out.Flush(); err != nil { // what came before this page
			return found, fmt.Errorf("write to standard output: %w", err)
		}
		filter.ListOptions = o
		return s.client.AuditEvents(ctx, filter)
	}
	for event, err := range svcauth.All(ctx, page, svcauth.ListOptions{}) {
		if err == nil {
			err = encoder.Encode(event)
		}
		if err != nil {
			_ = out.Flush()
			if written == 0 {
				return err
			}
			return fmt.Errorf("the export broke off after %s; go on with --until %s (events "+
				"of that very moment come again): %w",
				counted(written, "event"), last.Add(time.Nanosecond).Format(time.RFC3339Nano), s.explain(err))
		}
		written, last = written+1, event.Time
	}
	return out.Flush()
}
