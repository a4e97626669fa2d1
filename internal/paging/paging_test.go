package paging

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

type thing struct {
	at time.Time
	id string
}

func (a thing) key() string { return Key(a.at, a.id) }

// TestWalk goes over all pages of a list, whichever its keys are.
func TestWalk(t *testing.T) {
	began := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	var all []thing
	for i := range 7 { // some of the same moment
		all = append(all, thing{began.Add(time.Duration(i/2) * time.Millisecond), fmt.Sprint("id ", i)})
	}
	for name, cut := range map[string]func(svcauth.ListOptions) (svcauth.List[thing], error){
		"newest": func(o svcauth.ListOptions) (svcauth.List[thing], error) { return Newest(all, o, thing.key) },
		"after": func(o svcauth.ListOptions) (svcauth.List[thing], error) {
			return After(all, o, func(a thing) string { return a.id })
		},
	} {
		var seen []string
		o := svcauth.ListOptions{Limit: 2}
		for {
			page, err := cut(o)
			require.NoError(t, err)
			for _, a := range page.Items {
				seen = append(seen, a.id)
			}
			if page.NextCursor == nil {
				break
			}
			require.Len(t, page.Items, 2)
			o.Cursor = *page.NextCursor
		}
		require.Len(t, seen, len(all), name)
		first := "id 6"
		if name == "after" {
			first = "id 0"
		}
		require.Equal(t, first, seen[0])
	}
}

// TestForeignCursors are refused, and so is a page of no size.
func TestForeignCursors(t *testing.T) {
	for _, o := range []svcauth.ListOptions{{Limit: -1}, {Limit: svcauth.MaxPageSize + 1}, {Cursor: "?"},
		{Cursor: "eA"}} {
		_, _, err := Below(o, svcauth.PrefixRole)
		require.Error(t, err, "%+v", o)
		_, err = After([]thing{{id: "a"}}, o, func(a thing) string { return a.id })
		require.Error(t, err, "%+v", o)
	}
	for _, cursor := range []string{"?", "eA", *encode("1 a"), *encode("aaaaaaaaaaaaaaaaaaa id")} {
		_, err := Newest([]thing{}, svcauth.ListOptions{Cursor: cursor}, thing.key)
		require.Error(t, err, cursor)
	}
}

// TestNothingIsAnEmptyList, not null.
func TestNothingIsAnEmptyList(t *testing.T) {
	page, err := Newest(nil, svcauth.ListOptions{}, thing.key)
	require.NoError(t, err)
	require.NotNil(t, page.Items)
	require.Nil(t, page.NextCursor)
}
