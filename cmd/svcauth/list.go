package main

import (
	"context"
	"slices"
	"time"

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
	sorts   *sorting[T]
}

// sorting holds the flags of a list that is arranged here, which takes all of
// it.
type sorting[T any] struct {
	by        string
	unusedFor string
	orders    map[string]func(a, b T) int
	used      func(T) (created time.Time, lastUsed *time.Time)
	names     string // of orders, for the help
}

func (o *sorting[T]) flags(flags *pflag.FlagSet) {
	flags.StringVar(&o.by, "sort", "", "order by "+o.names)
	flags.StringVar(&o.unusedFor, "unused-for", "",
		"only those that are older than this and have not been used for as long, such as 90d")
}

// arrange returns what the flags make of a whole list, or nil if they ask for
// nothing.
func (o *sorting[T]) arrange(now time.Time) (func([]T) []T, error) {
	if o == nil || o.by == "" && o.unusedFor == "" {
		return nil, nil
	}
	order, ok := o.orders[o.by]
	if !ok && o.by != "" {
		return nil, wrongUsage("--sort %q: expected %s", clean(o.by), o.names)
	}
	unused, ok := duration(o.unusedFor)
	if !ok && o.unusedFor != "" {
		return nil, wrongUsage("--unused-for %q: expected a duration such as 90d or 12h", clean(o.unusedFor))
	}
	return func(all []T) []T {
		if o.unusedFor != "" {
			before := now.Add(-unused)
			all = slices.DeleteFunc(all, func(one T) bool {
				created, used := o.used(one)
				return created.After(before) || used != nil && used.After(before)
			})
		}
		if order != nil {
			slices.SortStableFunc(all, order)
		}
		return all
	}, nil
}

// byMoment compares moments, what has none first.
func byMoment(a, b *time.Time) int {
	switch {
	case a == nil && b == nil:
		return 0
	case a == nil:
		return -1
	case b == nil:
		return 1
	}
	return a.Compare(*b)
}

func (l listing[T]) command() *cobra.Command {
	p := &paging{limit: svcauth.DefaultPageSize}
	v := l.verb
	own := v.flags
	v.flags = func(flags *pflag.FlagSet) {
		if !l.whole {
			p.flags(flags)
		}
		if l.sorts != nil {
			l.sorts.flags(flags)
		}
		if own != nil {
			own(flags)
		}
	}
	v.run = func(ctx context.Context, s *session, args []string) error {
		if err := p.check(s.command); err != nil {
			return err
		}
		arrange, err := l.sorts.arrange(s.now())
		if err != nil {
			return err
		}
		if arrange != nil && p.cursor != "" {
			return wrongUsage("--cursor goes without --sort and --unused-for, which take the whole list")
		}
		limited := *p
		limited.all = p.all || arrange != nil
		found, err := list(ctx, &limited, func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[T], error) {
			return l.page(ctx, s, args, o)
		})
		if err != nil {
			return err
		}
		shown := l
		if arrange != nil {
			found.Items = arrange(found.Items)
			shown.none = "None of them."
		}
		if more := len(found.Items) - p.limit; arrange != nil && s.command.Flags().Changed("limit") && more > 0 {
			found.Items = found.Items[:p.limit]
			defer s.hint("There are %d more: leave --limit out for all.", more)
		}
		return shown.print(s, found)
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
	if err := writeTable(s.out, found.Items, l.columns(s), s.layout); err != nil {
		return err
	}
	if found.NextCursor != nil && *found.NextCursor != "" {
		s.hint("There are more: --cursor %s, or --all.", clean(*found.NextCursor))
	}
	return nil
}
