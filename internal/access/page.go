package access

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// pageOf reads what page of a list is wanted: the id to go on below ("" for the first page) and how many things. prefix is that of the list's ids.
func pageOf(o svcauth.ListOptions, prefix string) (before string, limit int, err error) {
	if limit, err = pageSize(o.Limit); err != nil || o.Cursor == "" {
		return "", limit, err
	}
	id, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil || !svcauth.ValidID(prefix, string(id)) {
		return "", 0, badCursor()
	}
	return string(id), limit, nil
}

func pageSize(asked int) (int, error) {
	if asked == 0 {
		return svcauth.DefaultPageSize, nil
	}
	if asked < 1 || asked > svcauth.MaxPageSize {
		return 0, svcauth.InvalidField("query.limit", "A page has 1 to %d things; leave limit out for %d.", svcauth.MaxPageSize, svcauth.DefaultPageSize)
	}
	return asked, nil
}

func badCursor() error {
	return svcauth.InvalidField("query.cursor", "This is no cursor of this list: send next_cursor of the page before, as it came, or none for the first page.")
}

func cursor(id string) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(id))
	return &text
}

// listOf makes a page of rows that were read with one more than limit, to know whether there is a next page. id gives what the cursor holds.
func listOf[T any](rows []T, limit int, id func(T) string) svcauth.List[T] {
	if len(rows) <= limit {
		return svcauth.List[T]{Items: rows}
	}
	rows = rows[:limit]
	return svcauth.List[T]{Items: rows, NextCursor: cursor(id(rows[limit-1]))}
}

// pageWithin cuts a page out of a list that is short enough to be read whole and is sorted by moment, then id, newest first. key gives both.
func pageWithin[T any](all []T, o svcauth.ListOptions, key func(T) (time.Time, string)) (list svcauth.List[T], err error) {
	limit, err := pageSize(o.Limit)
	if err != nil {
		return list, err
	}
	if o.Cursor != "" {
		text, err := base64.RawURLEncoding.DecodeString(o.Cursor)
		at, id, found := strings.Cut(string(text), " ")
		ms, parseErr := strconv.ParseInt(at, 10, 64)
		if err != nil || parseErr != nil || !found {
			return list, badCursor()
		}
		all = slices.DeleteFunc(slices.Clone(all), func(one T) bool {
			t, own := key(one)
			return t.UnixMilli() > ms || t.UnixMilli() == ms && own >= id
		})
	}
	return listOf(append([]T{}, all[:min(limit+1, len(all))]...), limit, func(one T) string {
		at, id := key(one)
		return fmt.Sprintf("%d %s", at.UnixMilli(), id)
	}), nil
}

// checkID refuses what can't be an id before it reaches the database, as what does not exist.
func checkID(prefix, id string) error {
	if !svcauth.ValidID(prefix, id) {
		return store.ErrNotFound
	}
	return nil
}
