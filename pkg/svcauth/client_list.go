package svcauth

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions selects a page of a list. The zero value selects the first page,
// of [DefaultPageSize] items.
type ListOptions struct {
	Limit  int    // items per page: 1 to [MaxPageSize]; 0: [DefaultPageSize]
	Cursor string // [List.NextCursor] of the previous page; empty: the first page
	// Name selects service accounts whose names begin with it. Other lists
	// ignore it.
	Name string
	// Member is the id of the member whose application keys are listed; the
	// caller needs members:manage. Default: the caller's own keys. Other lists
	// ignore it.
	Member string
}

func (o ListOptions) query() url.Values {
	query := url.Values{"cursor": {o.Cursor}}
	if o.Limit != 0 {
		query.Set("limit", strconv.Itoa(o.Limit))
	}
	return query
}

// page returns one page of the list at path.
func page[T any](ctx context.Context, c *Client, query url.Values, path ...string) (List[T], error) {
	var list List[T]
	_, err := c.do(ctx, request{method: http.MethodGet, path: path, query: query}, &list)
	return list, err
}

// All returns an iterator over every item of a list, newest first. page is a
// method of [Client] that lists; All calls it for each page in turn, beginning
// with options. If options.Limit is 0, pages have [MaxPageSize] items. Items
// that existed at the start are yielded once, even if others are added
// meanwhile. An error is yielded with a zero T and ends the iteration.
//
//	accounts := svcauth.All(ctx, client.ServiceAccounts, svcauth.ListOptions{})
//	for account, err := range accounts { … }
func All[T any](
	ctx context.Context,
	page func(context.Context, ListOptions) (List[T], error),
	options ListOptions,
) iter.Seq2[T, error] {
	options.Limit = cmp.Or(options.Limit, MaxPageSize)
	return func(yield func(T, error) bool) {
		var none T
		for options := options; ; {
			list, err := page(ctx, options)
			if err != nil {
				yield(none, err)
				return
			}
			for _, item := range list.Items {
				if !yield(item, nil) {
					return
				}
			}
			if list.NextCursor == nil || *list.NextCursor == "" {
				return
			}
			if *list.NextCursor == options.Cursor { // or it would never end
				yield(
					none,
					errors.New("the server gave the same cursor twice in a row; the list can't be read to its end"),
				)
				return
			}
			options.Cursor = *list.NextCursor
		}
	}
}
