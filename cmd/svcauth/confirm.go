package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// removal holds the flags of a command that removes or revokes something.
type removal struct {
	yes  bool
	wait time.Duration
}

func (t *removal) flags(flags *pflag.FlagSet) {
	t.yesFlag(flags)
	flags.DurationVar(&t.wait, "wait", 0,
		"wait so long (2s) until every connected resource server enforces it, and say how many do")
}

func (t *removal) yesFlag(flags *pflag.FlagSet) {
	flags.BoolVarP(&t.yes, "yes", "y", false, "do not ask")
}

// confirm asks before something is removed. consequence returns the question,
// which says what will break; it is called only if somebody will read it. If
// standard input is no terminal, nobody can be asked and nothing is removed.
func (t *removal) confirm(ctx context.Context, s *session, consequence func() (string, error)) error {
	if t.wait < 0 || t.wait > svcauth.MaxWait {
		return wrongUsage("--wait %s: expected a duration up to %s, such as 2s",
			timespan.Text(t.wait), timespan.Text(svcauth.MaxWait))
	}
	if t.yes {
		return nil
	}
	text, err := consequence()
	if err != nil {
		return err
	}
	if !s.terminal() {
		return wrongUsage("%s Nobody can be asked here, for standard input is no terminal: add --yes to go ahead", text)
	}
	fmt.Fprintf(s.err, "%s\nGo ahead? [y/N] ", text)
	answer, err := readLine(ctx, s.in)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return nil
	}
	return errors.New("not confirmed; nothing was changed")
}

// asksFirst is the help of commands that make their change by
// [removal.cautiously].
const asksFirst = "It asks first if by it a client gets no token any more unless it names an API, " +
	"or somebody could use what was never given to them."

// cautiously makes a change that there may be something to warn of. It asks
// before it makes one that the server does warn of.
func (t *removal) cautiously(ctx context.Context, s *session, change func(svcauth.Caution) error) error {
	err := change(svcauth.Caution{Strict: !t.yes})
	var p *svcauth.Problem
	if !errors.As(err, &p) || len(p.Warnings()) == 0 {
		return err
	}
	if err := t.confirm(ctx, s, func() (string, error) {
		return clean(strings.Join(p.Warnings(), " ")), nil
	}); err != nil {
		return err
	}
	return change(svcauth.Caution{})
}

func (s *session) terminal() bool { return isTerminal(s.in) }

// isTerminal reports whether a stream is a terminal.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// reportEnforcement prints how many resource servers enforce a change.
func (s *session) reportEnforcement(e *svcauth.Enforcement) {
	if e == nil {
		return
	}
	if e.NotCounted && e.Connected == 0 {
		s.say("How many resource servers enforce it was not counted.")
	} else {
		s.say("Enforced by %d of %d connected resource servers after %d ms.", e.Enforced, e.Connected, e.ElapsedMS)
	}
	if e.NotWaited {
		s.hint("Nobody was waited for: too many wait already. This is how it stood at once.")
	}
	if e.Partial {
		s.hint("Only those of the server that answered were counted: " + away.Redis +
			", by which the others tell of theirs.")
	}
	if e.NotCounted {
		s.hint("Not all that are connected were counted: so many follow that the server keeps no account of some, " +
			"or " + away.Database + ". The change is made and will reach them.")
	} else if e.Enforced < e.Connected {
		s.hint("%d not yet: 'svcauth resource-server list' shows which. The change is made and will reach them.",
			e.Connected-e.Enforced)
	}
}

// reportRemoval prints that something was removed, in a sentence. With -o json
// it prints what is enforced instead, if the server was asked.
func (s *session) reportRemoval(e *svcauth.Enforcement, format string, args ...any) error {
	s.say(format, args...)
	s.reportEnforcement(e)
	if s.json && e != nil {
		return writeJSON(s.out, e)
	}
	return nil
}

// readLine reads one line, or returns when ctx is done: a read from a terminal
// can't be interrupted.
func readLine(ctx context.Context, r io.Reader) (string, error) {
	return interruptible(ctx, func() (string, error) {
		return bufio.NewReader(io.LimitReader(r, 1<<10)).ReadString('\n')
	})
}

// readToken reads a token from standard input, without the white space around
// it.
func (s *session) readToken(ctx context.Context) (string, error) {
	if s.terminal() {
		s.hint("Paste the token and press Enter:")
	}
	text, err := interruptible(ctx, func() (string, error) {
		if s.terminal() {
			return bufio.NewReader(io.LimitReader(s.in, maxTokenInput+1)).ReadString('\n')
		}
		raw, err := io.ReadAll(io.LimitReader(s.in, maxTokenInput+1))
		return string(raw), err
	})
	text = strings.TrimSpace(text)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return "", fmt.Errorf("read the token from standard input: %w", err)
	case text == "":
		return "", errors.New("standard input holds no token")
	case len(text) > maxTokenInput || strings.ContainsAny(text, " \t\r\n"):
		return "", errors.New("standard input holds more than one token, or none; " +
			"expected the token alone, as 'svcauth token' prints it")
	}
	return text, nil
}

const maxTokenInput = 16 << 10 // bytes, as the server takes

func interruptible(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		text string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		text, err := read()
		done <- result{text, err}
	}()
	select {
	case r := <-done:
		return r.text, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
