// Package paging cuts lists into pages. It owns the form of a cursor and the
// bounds of a page, for each list of the management API.
//
// A cursor is the key of the last thing on a page, base64url without padding.
// Clients send it back as it came. What the key is made of, each list says: the
// id of a row, a name, or a moment with an id ([Key]).
package paging

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// maxCursor bounds the key that a cursor may hold, in bytes. The longest is the
// audience of an API.
const maxCursor = 4096

// Below reads which page is wanted of a list that is sorted by id, newest
// first. It returns the id below which the page begins, "" for the first page,
// and how many things it has at most. prefix is that of the list's ids.
func Below(o svcauth.ListOptions, prefix string) (before string, limit int, err error) {
	if limit, err = size(o.Limit); err != nil || o.Cursor == "" {
		return "", limit, err
	}
	id, err := decode(o.Cursor)
	if err != nil {
		return "", 0, err
	}
	if !svcauth.ValidID(prefix, id) {
		return "", 0, badCursor()
	}
	return id, limit, nil
}

// List makes a page of rows that were read with one more than limit, so that it
// is known whether there is a next page. key returns a row's key.
func List[T any](rows []T, limit int, key func(T) string) svcauth.List[T] {
	if len(rows) <= limit {
		return svcauth.List[T]{Items: rows}
	}
	rows = rows[:limit]
	return svcauth.List[T]{Items: rows, NextCursor: encode(key(rows[limit-1]))}
}

// Continued makes a page whose query says where the next one begins: behind the
// thing with this id, or nowhere if next is empty.
func Continued[T any](rows []T, next string) svcauth.List[T] {
	list := svcauth.List[T]{Items: rows}
	if next != "" {
		list.NextCursor = encode(next)
	}
	return list
}

// Newest cuts a page out of a list that is short enough to be read whole, and
// sorts it by key, the greatest first. key returns what [Key] does. What is
// added or goes between two pages moves nothing from one to the other.
func Newest[T any](all []T, o svcauth.ListOptions, key func(T) string) (none svcauth.List[T], err error) {
	limit, err := size(o.Limit)
	if err != nil {
		return none, err
	}
	rest := append([]T{}, all...)
	if o.Cursor != "" {
		below, err := decode(o.Cursor)
		if err != nil {
			return none, err
		}
		if moment, _, ok := strings.Cut(below, " "); !ok || !isMoment(moment) {
			return none, badCursor()
		}
		rest = slices.DeleteFunc(rest, func(one T) bool { return key(one) >= below })
	}
	slices.SortFunc(rest, func(a, b T) int { return cmp.Compare(key(b), key(a)) })
	return List(rest, limit, key), nil
}

// Key returns a key that sorts by a moment first, then by the parts.
func Key(at time.Time, parts ...string) string {
	return fmt.Sprintf("%019d %s", max(0, at.UnixNano()), strings.Join(parts, " "))
}

// isMoment reports whether a key may begin with the text.
func isMoment(text string) bool {
	_, err := strconv.ParseUint(text, 10, 64)
	return err == nil && len(text) == 19
}

// After cuts a page out of a short list that has an order of its own. name
// returns what each thing is known by.
func After[T any](all []T, o svcauth.ListOptions, name func(T) string) (none svcauth.List[T], err error) {
	limit, err := size(o.Limit)
	if err != nil {
		return none, err
	}
	if o.Cursor != "" {
		last, err := decode(o.Cursor)
		if err != nil {
			return none, err
		}
		at := slices.IndexFunc(all, func(one T) bool { return name(one) == last })
		if at < 0 {
			return none, badCursor()
		}
		all = all[at+1:]
	}
	return List(all, limit, name), nil
}

// size returns how many things a page has, for what was asked.
func size(asked int) (int, error) {
	if asked == 0 {
		return svcauth.DefaultPageSize, nil
	}
	if asked < 1 || asked > svcauth.MaxPageSize {
		return 0, svcauth.InvalidField("query.limit", "A page has 1 to %d things; leave limit out for %d.",
			svcauth.MaxPageSize, svcauth.DefaultPageSize)
	}
	return asked, nil
}

func encode(key string) *string {
	text := base64.RawURLEncoding.EncodeToString([]byte(key))
	return &text
}

func decode(cursor string) (key string, err error) {
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || len(raw) > maxCursor {
		return "", badCursor()
	}
	return string(raw), nil
}

func badCursor() error {
	return svcauth.InvalidField("query.cursor",
		"This is no cursor of this list: send next_cursor of the page before, as it came, or none for the first page.")
}
