package console

import (
	"context"
	"net/url"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxSorted bounds the rows that are read to sort or search a list. Without
// either, one page is read.
const maxSorted = 1000

// list is one page of a table.
type list[T any] struct {
	Rows []T
	More string // address of the next page; empty: this is the last one
	Back string // address of the first page; empty: this is it
	Cut  bool   // there are more than were read to sort or search

	Partial bool // there may be more, of which nothing is known any more

	Query      string // what is searched for
	Sort       string // column; "-name" is descending; empty: newest first
	path       string
	parameters url.Values
}

// column is a column by which a table can be sorted: rows are compared by its
// text.
type column[T any] struct {
	name string
	text func(T) string
}

// read returns the page that the request's query (sort, q, cursor) asks for.
// matches reports whether a row matches a search.
func read[T any](
	v *visit, get func(context.Context, svcauth.ListOptions) (svcauth.List[T], error), matches func(T, string) bool,
	columns ...column[T],
) (list[T], error) {
	q := v.Request.URL.Query()
	l := list[T]{
		Query:      strings.TrimSpace(q.Get("q")),
		Sort:       q.Get("sort"),
		path:       v.Request.URL.Path,
		parameters: url.Values{},
	}
	if len(l.Query) > 200 {
		l.Query = ""
	}
	if untrusted.HoldsSecret(l.Query) {
		return list[T]{}, svcauth.InvalidField("query.q", "What you search for %s.", untrusted.ErrSecretInText)
	}
	by := slices.IndexFunc(columns, func(c column[T]) bool { return c.name == strings.TrimPrefix(l.Sort, "-") })
	if by < 0 {
		l.Sort = ""
	}
	if l.Query != "" {
		l.parameters.Set("q", l.Query)
	}
	if l.Sort == "" && l.Query == "" {
		page, err := get(v.ctx(), svcauth.ListOptions{Cursor: q.Get("cursor")})
		if err != nil {
			return l, err
		}
		l.Rows, l.Partial = page.Items, page.Partial
		if page.NextCursor != nil {
			l.More = l.path + "?" + url.Values{"cursor": {*page.NextCursor}}.Encode()
		}
		if q.Get("cursor") != "" {
			l.Back = l.path
		}
		return l, nil
	}
	return l, l.readAll(v, get, matches, by, columns)
}

func (l *list[T]) readAll(
	v *visit, get func(context.Context, svcauth.ListOptions) (svcauth.List[T], error), matches func(T, string) bool,
	by int, columns []column[T],
) error {
	cursor := ""
	for read := 0; ; {
		page, err := get(v.ctx(), svcauth.ListOptions{Limit: svcauth.MaxPageSize, Cursor: cursor})
		if err != nil {
			return err
		}
		read += len(page.Items)
		l.Partial = l.Partial || page.Partial
		for _, item := range page.Items {
			if l.Query == "" || matches(item, strings.ToLower(l.Query)) {
				l.Rows = append(l.Rows, item)
			}
		}
		if page.NextCursor == nil {
			break
		}
		if read >= maxSorted {
			l.Cut = true
			break
		}
		cursor = *page.NextCursor
	}
	if by >= 0 {
		text := columns[by].text
		slices.SortStableFunc(l.Rows, func(a, b T) int {
			return strings.Compare(strings.ToLower(text(a)), strings.ToLower(text(b)))
		})
		if strings.HasPrefix(l.Sort, "-") {
			slices.Reverse(l.Rows)
		}
	}
	return nil
}

// Heading is the head of a column: a link that sorts by the column, and in
// reverse the second time.
type Heading struct {
	Label, Href string
	Sorted      string // ascending, descending or none, as aria-sort has it
}

// Head makes the head of a column that the table is sorted by.
func (l list[T]) Head(name, label string) Heading {
	h, q := Heading{Label: label, Sorted: "none"}, url.Values{}
	for k, v := range l.parameters {
		q[k] = v
	}
	q.Set("sort", name)
	switch l.Sort {
	case name:
		h.Sorted = "ascending"
		q.Set("sort", "-"+name)
	case "-" + name:
		h.Sorted = "descending"
		q.Del("sort")
	}
	h.Href = l.path
	if len(q) > 0 {
		h.Href += "?" + q.Encode()
	}
	return h
}

// contains reports whether any of the texts contains the search, which is in
// lower case.
func contains(search string, texts ...string) bool {
	return slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(strings.ToLower(t), search) })
}

// everything returns all rows of a list, up to maxSorted.
func everything[T any](
	ctx context.Context, get func(context.Context, svcauth.ListOptions) (svcauth.List[T], error),
) ([]T, error) {
	var all []T
	for item, err := range svcauth.All(ctx, get, svcauth.ListOptions{}) {
		if err != nil {
			return nil, err
		}
		if all = append(all, item); len(all) == maxSorted {
			break
		}
	}
	return all, nil
}
