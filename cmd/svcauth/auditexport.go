package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/internal/httpx"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// followEvery is how often the log is asked for more, once all of it is read. A
// test changes it.
var followEvery = 2 * time.Second

// followBackoff is how long to wait before a server is asked again that gave no
// answer, or said that it is busy.
var followBackoff = httpx.Backoff{First: time.Second, Most: time.Minute}

func exportEvents() *cobra.Command {
	q := &auditQuery{}
	follow := false
	return verb{
		use:     "export",
		short:   "Write audit events to standard output, one JSON object a line",
		choices: aboutEvents,
		flags: func(flags *pflag.FlagSet) {
			q.flags(flags)
			q.sinceFlag(flags, "; or an event's id, to go on behind it, oldest first")
			flags.BoolVar(&follow, "follow", false, "oldest first, and go on with what is added, until it is stopped")
		},
		long: "Each line is an event as the API gives it. Without --follow and an event's id the newest comes first, " +
			"and what is added meanwhile is not in it.\n\n" +
			"With --follow it begins with the oldest event that is kept, or as --since says, and does not end. " +
			"It waits for a server that restarts or is busy. To go on later, give the id of the last event that " +
			"you have: none is missed and none comes twice, whatever their times. An event comes within a few " +
			"seconds, and one that stands for the refusals of a minute when the minute is over.\n\n" +
			"Where it breaks off, the message says with which --since or --until to go on.",
		example: []string{"svcauth audit export --since 30d > audit.ndjson",
			"svcauth audit export --action token.revoke | wc -l",
			"svcauth audit export --follow --since 1h >> audit.ndjson",
			"svcauth audit export --since evt_01h455vb4pex5vsknk084sn02q >> audit.ndjson"},
		run: func(ctx context.Context, s *session, _ []string) error {
			x := exporter{s: s, out: bufio.NewWriter(s.out)}
			if svcauth.ValidID(svcauth.PrefixEvent, q.since) {
				x.last, q.since = q.since, ""
			}
			filter, err := q.resolve(s)
			if err != nil {
				return err
			}
			x.encoder = json.NewEncoder(x.out)
			x.encoder.SetEscapeHTML(false)
			if !follow && x.last == "" {
				return x.newestFirst(ctx, filter)
			}
			filter.Order, filter.Limit = svcauth.OrderAscending, svcauth.MaxPageSize
			return x.oldestFirst(ctx, filter, follow)
		},
	}.command()
}

// exporter writes events to standard output.
type exporter struct {
	s       *session
	out     *bufio.Writer
	encoder *json.Encoder
	last    string // the id of the last event that is written, or that was to begin behind
	written bool
}

// flush hands over what was written.
func (x *exporter) flush() error {
	if err := x.out.Flush(); err != nil {
		return fmt.Errorf("write to standard output: %w", err)
	}
	return nil
}

// newestFirst writes what there is now.
func (x *exporter) newestFirst(ctx context.Context, filter svcauth.AuditFilter) error {
	written, last := 0, time.Time{}
	page := func(ctx context.Context, o svcauth.ListOptions) (found svcauth.List[svcauth.AuditEvent], err error) {
		if err := x.flush(); err != nil { // what came before this page
			return found, err
		}
		filter.ListOptions = o
		return x.s.client.AuditEvents(ctx, filter)
	}
	for event, err := range svcauth.All(ctx, page, svcauth.ListOptions{}) {
		if err == nil {
			err = x.encoder.Encode(event)
		}
		if err != nil {
			_ = x.out.Flush()
			if written == 0 {
				return err
			}
			return fmt.Errorf("the export broke off after %s; go on with --until %s (events "+
				"of that very moment come again): %w",
				counted(written, "event"), last.Add(time.Nanosecond).Format(time.RFC3339Nano), x.s.explain(err))
		}
		written, last = written+1, event.Time
	}
	return x.flush()
}

// oldestFirst writes the events in the order in which they got their places. If
// follow is set, it goes on until ctx is done.
func (x *exporter) oldestFirst(ctx context.Context, filter svcauth.AuditFilter, follow bool) error {
	filter.After = x.last
	began, failures := false, 0
	for {
		page, err := x.s.client.AuditEvents(ctx, filter)
		wait := followEvery
		switch {
		case ctx.Err() != nil && follow:
			x.sayWhere()
			return nil
		case err != nil && (!follow || !began || !passing(err)):
			return x.brokenOff(err)
		case err != nil:
			failures++
			wait = x.failedRead(err, failures)
		default:
			x.readAgain(failures)
			began, failures = true, 0
			if err := x.writePage(page.Items); err != nil {
				return err
			}
			if x.advance(&filter, page) {
				continue
			}
			if !follow {
				return nil
			}
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			x.sayWhere()
			return nil
		}
	}
}

// failedRead tells of the first of several failures in a row, and returns how
// long to wait after this one.
func (x *exporter) failedRead(err error, failures int) time.Duration {
	if failures == 1 {
		x.s.hint("The server can't be read now; it is asked again until it can: %v", x.s.explain(err))
	}
	return followBackoff.Wait(failures, retryAfter(err))
}

// readAgain tells that failures are over, if there were any.
func (x *exporter) readAgain(failures int) {
	if failures > 0 {
		x.s.hint("The server can be read again.")
	}
}

func (x *exporter) writePage(events []svcauth.AuditEvent) error {
	for _, event := range events {
		if err := x.encoder.Encode(event); err != nil {
			return fmt.Errorf("write to standard output: %w", err)
		}
	}
	if err := x.flush(); err != nil {
		return err
	}
	if len(events) > 0 {
		x.last, x.written = events[len(events)-1].ID, true
	}
	return nil
}

// advance sets where the next page begins, and reports whether there is one.
func (x *exporter) advance(f *svcauth.AuditFilter, page svcauth.List[svcauth.AuditEvent]) bool {
	switch {
	case page.NextCursor != nil:
		f.Cursor, f.After = *page.NextCursor, ""
		return true
	case len(page.Items) > 0:
		f.Cursor, f.After = "", x.last
	}
	return false
}

// sayWhere says how to go on.
func (x *exporter) sayWhere() {
	if x.last != "" {
		x.s.hint("Stopped. Go on with --since %s", clean(x.last))
	}
}

func (x *exporter) brokenOff(err error) error {
	if !x.written {
		return err
	}
	return fmt.Errorf("the export broke off; go on with --since %s: %w", clean(x.last), x.s.explain(err))
}

// passing reports whether a call may succeed later without anybody doing
// something about it here: the server is away or busy.
func passing(err error) bool {
	var problem *svcauth.Problem
	var noToken *tokensource.Error
	var certificate *tls.CertificateVerificationError
	status := 0
	switch {
	case errors.As(err, &certificate):
		return false
	case errors.As(err, &problem):
		status = problem.Status
	case errors.As(err, &noToken):
		status = noToken.Status
	}
	return status == 0 || status >= 500 || status == http.StatusTooManyRequests || status == http.StatusRequestTimeout
}

// retryAfter returns how long the server asked to wait, or 0.
func retryAfter(err error) time.Duration {
	var problem *svcauth.Problem
	var noToken *tokensource.Error
	switch {
	case errors.As(err, &problem):
		return problem.RetryAfter
	case errors.As(err, &noToken):
		return noToken.RetryAfter
	}
	return 0
}
