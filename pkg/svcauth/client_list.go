package svcauth

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// ListOptions choose a page of a list. The zero value is the first page, of the
// server's default size.
type ListOptions struct {
	Limit  int    // things a page: 1 to [MaxPageSize]; 0: [DefaultPageSize]
	Cursor string // [List.NextCursor] of the page before; empty: the first page
	// Name keeps the service accounts whose names begin with it. Other lists
	// ignore it.
	Name string
	// Member chooses whose application keys are listed, if the caller has
	// members:manage. Empty: the caller's own. Other lists ignore it.
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

// All yields every item of a list, newest first. It calls page with the cursor of
// each page in turn, first with "". What was there at the beginning is yielded
// once, whatever is added meanwhile. The first error comes with a zero T and ends
// the sequence.
//
//	for account, err := range svcauth.All(ctx, func(ctx context.Context, cursor string) (svcauth.List[svcauth.ServiceAccount], error) {
//		return client.ServiceAccounts(ctx, svcauth.ListOptions{Cursor: cursor})
//	}) { … }
func All[T any](
	ctx context.Context,
	page func(ctx context.Context, cursor string) (List[T], error),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		for cursor := ""; ; {
			list, err := page(ctx, cursor)
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
			if *list.NextCursor == cursor { // or it would never end
				yield(
					none,
					errors.New("the server gave the same cursor twice in a row; the list can't be read to its end"),
				)
				return
			}
			cursor = *list.NextCursor
		}
	}
}
