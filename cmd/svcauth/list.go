package main

import (
	"context"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// paging holds the flags of a list.
type paging struct {
	limit  int
	cursor string
	all    bool
}

func (p *paging) flags(flags *pflag.FlagSet) {
	flags.IntVar(&p.limit, "limit", svcauth.DefaultPageSize, "at most so many, newest first (1 to 200)")
	flags.StringVar(&p.cursor, "cursor", "", "go on after the list that gave this cursor")
	flags.BoolVar(&p.all, "all", false, "all of them, however many")
}

func (p *paging) check(c *cobra.Command) error {
	switch {
	case p.all && (p.cursor != "" || c.Flags().Changed("limit")):
		return wrongUsage("--all goes without --limit and --cursor")
	case p.limit < 1 || p.limit > svcauth.MaxPageSize:
		return wrongUsage("--limit %d: expected 1 to %d; --all gives all", p.limit, svcauth.MaxPageSize)
	}
	return nil
}

// pageOf fetches one page of a list.
type pageOf[T any] func(context.Context, svcauth.ListOptions) (svcauth.List[T], error)

// list fetches what paging asks for: one page or, with all, the whole list,
// whose next cursor is null.
func list[T any](ctx context.Context, p *paging, page pageOf[T]) (svcauth.List[T], error) {
	if !p.all {
		return page(ctx, svcauth.ListOptions{Limit: p.limit, Cursor: p.cursor})
	}
	whole := svcauth.List[T]{Items: []T{}}
	noting := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[T], error) {
		one, err := page(ctx, o)
		whole.Partial = whole.Partial || one.Partial
		return one, err
	}
	for item, err := range svcauth.All(ctx, noting, svcauth.ListOptions{}) {
		if err != nil {
			return whole, err
		}
		whole.Items = append(whole.Items, item)
	}
	return whole, nil
}

// listing is a command that lists.
type listing[T any] struct {
	verb    verb // without run
	page    func(ctx context.Context, s *session, args []string, o svcauth.ListOptions) (svcauth.List[T], error)
	columns func(*session) []column[T]
	none    string // what to say if there are none: a sentence with the next step
	partial string // what to say if there may be more than are listed
	whole   bool   // the API gives all at once
}

func (l listing[T]) command() *cobra.Command {
	p := &paging{limit: svcauth.DefaultPageSize}
	v := l.verb
	own := v.flags
	v.flags = func(flags *pflag.FlagSet) {
		if !l.whole {
			p.flags(flags)
		}
		if own != nil {
			own(flags)
		}
	}
	v.run = func(ctx context.Context, s *session, args []string) error {
		if err := p.check(s.command); err != nil {
			return err
		}
		found, err := list(ctx, p, func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[T], error) {
			return l.page(ctx, s, args, o)
		})
		if err != nil {
			return err
		}
		return l.print(s, found)
	}
	return v.command()
}

func (l listing[T]) print(s *session, found svcauth.List[T]) error {
	if found.Items == nil {
		found.Items = []T{}
	}
	if s.json {
		return writeJSON(s.out, found)
	}
	if found.Partial {
		defer s.hint("%s", l.partial)
	}
	if len(found.Items) == 0 && !found.Partial {
		s.hint("%s", l.none)
	}
	if len(found.Items) == 0 {
		return nil
	}
	if err := writeTable(s.out, found.Items, l.columns(s)); err != nil {
		return err
	}
	if found.NextCursor != nil && *found.NextCursor != "" {
		s.hint("There are more: --cursor %s, or --all.", clean(*found.NextCursor))
	}
	return nil
}
