package docs_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// page is clients.md, taken apart.
type page struct {
	snippets map[string]string // by the name that a comment before them gives
	traps    []trap
	rows     []row
	proofs   []proof
}

// proof is a line of the page's table of clients without a secret: what they
// prove themselves by, and what their assertions say.
type proof struct{ snippet, by, aud, lives, typ, kid string }

// trap is a text of the page that a snippet prints once a piece of it is
// another; some do only when the token has come to its end.
type trap struct {
	late                    bool
	snippet, old, new, says string
}

// row is a line of the page's table, which says how a snippet behaves.
type row struct{ snippet, credential, early, again, ca string }

var (
	fence = regexp.MustCompile("(?ms)^```(\\w+)\n(.*?)\n```$")
	// In front of each block a comment says what becomes of it.
	runs  = regexp.MustCompile(`<!-- (?:run|prove) (\S+) -->\n$`)
	fails = regexp.MustCompile(`<!-- trap (at the end )?(\S+): (.*) ⇒ (.*) -->\n$`)
	other = regexp.MustCompile(`<!-- tested: .* -->\n$`)
)

// readPage takes the page apart. A block about which the page does not say
// whether it is run is a mistake.
func readPage(t *testing.T) page {
	t.Helper()
	raw, err := os.ReadFile("clients.md")
	require.NoError(t, err)
	text := string(raw)
	p := page{snippets: map[string]string{}}
	for _, at := range fence.FindAllStringSubmatchIndex(text, -1) {
		before, body := text[:at[0]], text[at[4]:at[5]]
		if m := runs.FindStringSubmatch(before); m != nil {
			require.NotContains(t, p.snippets, m[1], "a name is given twice")
			p.snippets[m[1]] = body + "\n"
		} else if m := fails.FindStringSubmatch(before); m != nil {
			p.traps = append(p.traps, trap{m[1] != "", m[2], m[3], strings.TrimSuffix(m[4], "nothing"), body})
		} else {
			require.Regexp(t, other, before, "a block of which nothing says if it is run:\n%s", body)
		}
	}
	require.Equal(t, strings.Count(text, "\n```"), 2*len(fence.FindAllString(text, -1)), "a block that is not found")
	for line := range strings.Lines(text) {
		cells := strings.Split(strings.Trim(line, "|\n "), " | ")
		if len(cells) == 6 && strings.HasPrefix(cells[0], "`") {
			p.rows = append(p.rows, row{strings.Trim(cells[0], "`"), cells[2], cells[3], cells[4],
				strings.Trim(cells[5], "`")})
		}
		if len(cells) == 7 && strings.HasPrefix(cells[0], "`") {
			p.proofs = append(p.proofs, proof{strings.Trim(cells[0], "`"), cells[2], cells[3], cells[4], cells[5],
				cells[6]})
		}
	}
	require.NotEmpty(t, p.traps)
	require.NotEmpty(t, p.rows)
	require.NotEmpty(t, p.proofs)
	return p
}

// TestThePageSaysWhatItRuns needs no program: each trap names a snippet and a
// piece of it, and the table has a row for each snippet.
func TestThePageSaysWhatItRuns(t *testing.T) {
	p := readPage(t)
	for _, trap := range p.traps {
		require.Contains(t, p.snippets, trap.snippet)
		require.Contains(t, p.snippets[trap.snippet], trap.old, "the trap changes what %s has not", trap.snippet)
	}
	for _, row := range p.rows {
		require.Contains(t, p.snippets, row.snippet)
	}
	for _, proof := range p.proofs {
		require.Contains(t, p.snippets, proof.snippet)
	}
	require.Len(t, p.snippets, len(p.rows)+len(p.proofs), "each snippet has one row of a table")
}
