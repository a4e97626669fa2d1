package main

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var noon = time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)

func TestTablesFitATerminal(t *testing.T) {
	long := strings.Repeat("x", 200)
	for name, rows := range map[string][][3]string{
		"short":        {{"ci", "sa_1", "a"}},
		"long":         {{long, strings.Repeat("i", 29), long}},
		"wide letters": {{strings.Repeat("測試", 60), "sa_1", strings.Repeat("é", 90)}},
		"none":         nil,
	} {
		var b bytes.Buffer
		require.NoError(t, writeTable(&b, rows, []column[[3]string]{
			{title: "NAME", cell: func(r [3]string) string { return r[0] }},
			{title: "ID", whole: true, cell: func(r [3]string) string { return r[1] }},
			{title: "ROLES", cell: func(r [3]string) string { return r[2] }},
			{title: "MORE", wide: true, cell: func([3]string) string { return "more" }},
		}, layout{width: tableWidth}))
		lines := strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")
		require.Len(t, lines, len(rows)+1)
		for i, line := range lines {
			require.LessOrEqual(t, columns(line), tableWidth, "%s: %s", name, line)
			require.Equal(t, strings.TrimRight(line, " "), line)
			if i > 0 {
				require.Contains(t, line, rows[i-1][1], "an id is never cut")
			}
		}
	}
}

// What a program reads is whole, and -o wide has all columns.
func TestTablesAreCutOnATerminalOnly(t *testing.T) {
	long := strings.Repeat("x", 200)
	columns := []column[string]{
		{title: "NAME", cell: func(text string) string { return text }},
		{title: "SIZE", wide: true, cell: func(text string) string { return fmt.Sprint(len(text)) }},
	}
	for want, as := range map[string]layout{
		"NAME\n" + long + "\n": layoutFor(&bytes.Buffer{}, false),
		"NAME" + strings.Repeat(" ", 196) + "  SIZE\n" + long + "  200\n": layoutFor(&bytes.Buffer{}, true),
		"NAME\n" + long[:99] + "…\n":                                      {width: 100},
	} {
		var b bytes.Buffer
		require.NoError(t, writeTable(&b, []string{long}, columns, as))
		require.Equal(t, want, b.String())
	}
}

func TestCut(t *testing.T) {
	for _, c := range []struct {
		text  string
		limit int
		want  string
	}{{"abc", 3, "abc"}, {"abcd", 3, "ab…"}, {"ab cd", 4, "ab…"}, {"測試測", 5, "測試…"}, {"測試測", 4, "測…"}, {"", 3, ""}} {
		require.Equal(t, c.want, cut(c.text, c.limit), c.text)
		require.LessOrEqual(t, columns(cut(c.text, c.limit)), c.limit)
	}
}

// What others chose for a name must not rewrite the terminal of who lists it.
func TestNothingFromOutsideReachesTheTerminalRaw(t *testing.T) {
	var b bytes.Buffer
	evil := "a\x1b[2Jb\nc\u202ed\u009b31m"
	require.NoError(t,
		writeTable(&b, []string{evil}, []column[string]{{title: "NAME", cell: func(s string) string { return s }}},
			layout{}))
	require.NoError(t, writeFields(&b, value("Name", evil), value("None"), value("Two", "1", "2")))
	require.Equal(t, "NAME\na?[2Jb?c?d?31m\nName  a?[2Jb?c?d?31m\nNone  -\nTwo   1\n      2\n", b.String())
	require.Equal(t, []string{"a?b c", "dddddd", "e"}, wrap("a\x1bb  c dddddd e", 5))
}

func TestMomentsInAWord(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                                 "just now",
		-500 * time.Millisecond:           "just now",
		-89 * time.Second:                 "1m ago",
		-59*time.Minute - 50*time.Second:  "1h ago",
		2160*time.Hour - time.Millisecond: "in 90d",
		-3 * time.Hour:                    "3h ago",
		-72 * time.Hour:                   "3d ago",
		5 * time.Minute:                   "in 5m",
		30 * time.Second:                  "in 30s",
	} {
		require.Equal(t, want, ago(noon, noon.Add(d)))
	}
	require.Equal(t, "never", agoOr(noon, nil, "never"))
	require.Equal(t, "2026-01-31T13:00:00Z (in 1h)", stamp(noon, new(noon.Add(time.Hour)), ""))
}

func TestMomentsAreRead(t *testing.T) {
	for text, want := range map[string]time.Time{
		"2026-02-01":                time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC),
		"2026-02-01T10:00:00+02:00": time.Date(2026, 2, 1, 8, 0, 0, 0, time.UTC),
		"12h":                       noon.Add(12 * time.Hour),
		"30d":                       noon.Add(720 * time.Hour),
		"1h30m":                     noon.Add(90 * time.Minute),
	} {
		got, err := moment("x", text, noon, 1)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	back, err := moment("x", "2d", noon, -1)
	require.NoError(t, err)
	require.Equal(t, noon.Add(-48*time.Hour), back)
	for _, bad := range []string{"soon", "-1h", "0d", "0s", "2026-13-01", "99999d", "1d2h", ""} {
		_, err := moment("since", bad, noon, -1)
		require.ErrorContains(t, err, "--since", bad)
		var usage usageError
		require.ErrorAs(t, err, &usage)
	}
}

// TestWhatIsCutFirst checks that the name in the first column is cut last, with
// what is marked so. An id is never cut, and nothing below what can still be
// read.
func TestWhatIsCutFirst(t *testing.T) {
	for _, c := range []struct {
		in, want []int // name, roles, id (whole), action (last)
	}{
		{[]int{10, 20, 8, 8}, []int{10, 20, 8, 8}},
		{[]int{30, 100, 8, 8}, []int{30, 28, 8, 8}},
		{[]int{60, 100, 8, 8}, []int{46, 12, 8, 8}},
		{[]int{60, 100, 8, 60}, []int{27, 12, 8, 27}},
		{[]int{100, 100, 60, 8}, []int{leastWidth, leastWidth, 60, leastWidth}},
	} {
		var b bytes.Buffer
		row := [4]string{}
		for i, n := range c.in {
			row[i] = strings.Repeat("x", n)
		}
		cell := func(i int) func([4]string) string { return func(r [4]string) string { return r[i] } }
		require.NoError(t,
			writeTable(&b, [][4]string{row}, []column[[4]string]{
				{title: "A", cell: cell(0)},
				{title: "B", cell: cell(1)},
				{title: "C", cell: cell(2), whole: true},
				{title: "D", cell: cell(3), last: true},
			}, layout{width: tableWidth}))
		var got []int
		for _, text := range strings.Fields(strings.Split(b.String(), "\n")[1]) {
			got = append(got, columns(text))
		}
		require.Equal(t, c.want, got, "%v", c.in)
	}
}
