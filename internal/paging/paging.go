// Package paging cuts lists into pages.
package paging

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Below reads what page of a list is wanted: the id to go on below ("" for the first page) and how many things. prefix is that of the list's ids.
func Below(o svcauth.ListOptions, prefix string) (before string, limit int, err error) {
	if limit, err = Size(o.Limit); err != nil || o.Cursor == "" {
		return "", limit, err
	}
	id, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil || !svcauth.ValidID(prefix, string(id)) {
		return "", 0, BadCursor()
	}
	return string(id), limit, nil
}

func Size(asked int) (int, error) {
	if asked == 0 {
		return svcauth.DefaultPageSize, nil
	}
	if asked < 1 || asked > svcauth.MaxPageSize {
		return 0, svcauth.InvalidField("query.limit", "A page has 1 to %d things; leave limit out for %d.", svcauth.MaxPageSize, svcauth.DefaultPageSize)
	}
	return asked, nil
}

func BadCursor() error {
	return svcauth.InvalidField("query.cursor", "This is no cursor of this list: send next_cursor of the page before, as it came, or none for the first page.")
}

func cursor(id string) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(id))
	return &text
}

// List makes a page of rows that were read with one more than limit, to know whether there is a next page. id gives what the cursor holds.
func List[T any](rows []T, limit int, id func(T) string) svcauth.List[T] {
	if len(rows) <= limit {
		return svcauth.List[T]{Items: rows}
	}
	rows = rows[:limit]
	return svcauth.List[T]{Items: rows, NextCursor: cursor(id(rows[limit-1]))}
}

// Within cuts a page out of a list that is short enough to be read whole and is sorted by moment, then id, newest first. key gives both.
func Within[T any](all []T, o svcauth.ListOptions, key func(T) (time.Time, string)) (list svcauth.List[T], err error) {
	limit, err := Size(o.Limit)
	if err != nil {
		return list, err
	}
	if o.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(o.Cursor)
		at, id, found := strings.Cut(string(text), " ")
		ms, parseErr := strconv.ParseInt(at, 10, 64)
		if err != nil || parseErr != nil || !found {
			return list, BadCursor()
		}
		all = slices.DeleteFunc(slices.Clone(all), func(one T) bool {
			t, own := key(one)
			return t.UnixMilli() > ms || t.UnixMilli() == ms && own >= id
		})
	}
	return List(append([]T{}, all[:min(limit+1, len(all))]...), limit, func(one T) string {
		at, id := key(one)
		return fmt.Sprintf("%d %s", at.UnixMilli(), id)
	}), nil
}

// After cuts a page out of a short list. The cursor holds the last one's name.
func After[T any](all []T, o svcauth.ListOptions, name func(T) string) (none svcauth.List[T], err error) {
	limit, err := Size(o.Limit)
	if err != nil {
		return none, err
	}
	if o.Cursor != "" {
		last, err := base64.RawURLEncoding.DecodeString(o.Cursor)
		at := slices.IndexFunc(all, func(one T) bool { return name(one) == string(last) })
		if err != nil || at < 0 {
			return none, BadCursor()
		}
		all = all[at+1:]
	}
	return List(all, limit, name), nil
}
