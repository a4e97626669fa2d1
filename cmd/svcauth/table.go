package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"
)

const (
	tableWidth    = 80 // columns, of help texts and of a terminal that does not say
	columnGap     = 2
	readableWidth = 12 // of a column that was cut so that a name need not be
	leastWidth    = 6  // of a column that was cut
)

// column is one column of a table of T.
type column[T any] struct {
	title string
	cell  func(T) string
	whole bool // never cut: ids
	last  bool // cut last, as the name in the first column is
	wide  bool // shown with -o wide only
}

// layout says how a table is printed.
type layout struct {
	width int  // no wider than that, in columns; 0: nothing is cut
	wide  bool // with all columns
}

// layoutFor returns the layout of a table for a stream: cut only if the stream
// is a terminal, at its width. What a program reads is whole.
func layoutFor(out io.Writer, wide bool) layout {
	file, ok := raw(out).(*os.File)
	if wide || !ok || !term.IsTerminal(int(file.Fd())) {
		return layout{wide: wide}
	}
	width, _, err := term.GetSize(int(file.Fd()))
	if err != nil || width <= 0 {
		width = tableWidth
	}
	return layout{width: width}
}

// writeTable prints rows in the layout. It shortens the columns that may be
// cut, first as far as they stay readable, then the names too.
func writeTable[T any](w io.Writer, rows []T, columnsOfT []column[T], as layout) error {
	columnsOfT = slices.DeleteFunc(slices.Clone(columnsOfT), func(c column[T]) bool { return c.wide && !as.wide })
	lines := make([][]string, 1, len(rows)+1)
	widths := make([]int, len(columnsOfT))
	for i, c := range columnsOfT {
		lines[0] = append(lines[0], c.title)
		widths[i] = columns(c.title)
	}
	for _, row := range rows {
		line := make([]string, len(columnsOfT))
		for i, c := range columnsOfT {
			line[i] = clean(c.cell(row))
			widths[i] = max(widths[i], columns(line[i]))
		}
		lines = append(lines, line)
	}
	if as.width > 0 {
		shrink(widths, as.width, readableWidth,
			func(i int) bool { return i > 0 && !columnsOfT[i].whole && !columnsOfT[i].last })
		shrink(widths, as.width, leastWidth, func(i int) bool { return !columnsOfT[i].whole })
	}
	var b strings.Builder
	for _, line := range lines {
		b.Reset()
		for i, text := range line {
			text = cut(text, widths[i])
			b.WriteString(text)
			if i < len(line)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-columns(text)+columnGap))
			}
		}
		if _, err := fmt.Fprintln(w, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

// shrink narrows the widest column that may be cut, until all fit into limit or
// none is wider than least.
func shrink(widths []int, limit, least int, mayCut func(int) bool) {
	total := columnGap * (len(widths) - 1)
	for _, n := range widths {
		total += n
	}
	for ; total > limit; total-- {
		widest := -1
		for i, n := range widths {
			if mayCut(i) && n > least && (widest < 0 || n > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			return
		}
		widths[widest]--
	}
}

// field is one line of an object shown in full. Several values are printed
// below each other.
type field struct {
	name   string
	values []string
}

func value(name string, values ...string) field { return field{name, values} }

// writeFields prints an object in full, whatever its width. A field without a
// value is a dash.
func writeFields(w io.Writer, fields ...field) error {
	longest := 0
	for _, f := range fields {
		longest = max(longest, columns(f.name))
	}
	for _, f := range fields {
		if len(f.values) == 0 || len(f.values) == 1 && f.values[0] == "" {
			f.values = []string{"-"}
		}
		for i, text := range f.values {
			name := f.name
			if i > 0 {
				name = ""
			}
			if _, err := fmt.Fprintf(w, "%-*s  %s\n", longest, name, clean(text)); err != nil {
				return err
			}
		}
	}
	return nil
}

// writeJSON prints v as the API would, but indented for people. Nothing is
// escaped for HTML.
func writeJSON(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// show prints one object in the format that was asked for.
func (s *session) show(v any, fields ...field) error {
	if s.json {
		return writeJSON(s.out, v)
	}
	return writeFields(s.out, fields...)
}
