// Package docs_test runs what clients.md shows, each snippet with its real
// library or program, against a real svcauth.
package docs_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/svcauth/svcauth/internal/svctest/needs"
)

const programs = "Python, Node.js, Ruby, PHP, curl and Prometheus with their OAuth2 libraries"

// TestEachSnippetGetsWhatItAsksFor: a token with the scope that it asks for,
// sent as the table says, and the API says hello.
func TestEachSnippetGetsWhatItAsksFor(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.rows {
		t.Run(r.snippet, func(t *testing.T) {
			t.Parallel()
			id, secret, plan := f.client(plan{})
			got := f.run(t, r, p.snippets[r.snippet], id, secret)
			require.True(t, got.ok, got.output)
			require.Contains(t, got.output, "hello "+id)
			requests := f.seen(plan)
			require.Len(t, requests, 1)
			require.Equal(t, "clusters:view", requests[0].form.Get("scope"))
			require.Equal(t, strings.Fields(r.credential)[0], requests[0].credential+",", "the page says: %s",
				r.credential)
		})
	}
}

// TestEachSnippetEncodesAsTheTableSays: RFC 6749 §2.3.1 has id and secret
// form-urlencoded before they go into the header; not all libraries do.
func TestEachSnippetEncodesAsTheTableSays(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.rows {
		if !strings.HasPrefix(r.credential, "Basic") {
			continue
		}
		t.Run(r.snippet, func(t *testing.T) {
			t.Parallel()
			const secret = "one+two%three/four"
			id := "nobody of " + r.snippet
			plan := f.stranger(id)
			got := f.run(t, r, p.snippets[r.snippet], id, secret)
			require.False(t, got.ok, got.output)
			requests := f.seen(plan)
			require.NotEmpty(t, requests)
			decoded, err := url.QueryUnescape(requests[0].secret)
			if r.credential == "Basic, encoded" {
				require.NoError(t, err)
				require.Equal(t, secret, decoded, "sent as %s", requests[0].secret)
				require.NotEqual(t, secret, requests[0].secret)
			} else {
				require.Equal(t, "Basic, as it is", r.credential)
				require.Equal(t, secret, requests[0].secret)
			}
		})
	}
}

// TestEachSnippetDoesAsTheTableSaysWhenSvcauthIsBusy: 503 with Retry-After.
func TestEachSnippetDoesAsTheTableSaysWhenSvcauthIsBusy(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.rows {
		t.Run(r.snippet, func(t *testing.T) {
			t.Parallel()
			id, secret, plan := f.client(plan{unavailable: 1})
			got := f.run(t, r, p.snippets[r.snippet], id, secret)
			again := strings.HasPrefix(r.again, "asks again")
			require.Equal(t, again, got.ok, "the page says: %s\n%s", r.again, got.output)
			if requests := f.seen(plan); again {
				require.Len(t, requests, 2)
				waited := requests[1].at.Sub(requests[0].at) >= time.Second // Retry-After: 1
				require.Equal(t, map[bool]string{true: "asks again after Retry-After",
					false: "asks again at once"}[waited], r.again)
			} else {
				require.Equal(t, "fails", r.again)
				require.Len(t, requests, 1)
			}
		})
	}
}

var early = regexp.MustCompile(`^(\d+) s early`)

// TestEachSnippetRenewsAsTheTableSays has the answer say that the token lives
// for about as long as the table says, and looks who asks for another.
func TestEachSnippetRenewsAsTheTableSays(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.rows {
		seconds, renews := 0, r.early == "at its end"
		if m := early.FindStringSubmatch(r.early); m != nil {
			seconds, _ = strconv.Atoi(m[1])
			renews = true
		}
		fetches := func(t *testing.T, lives int, pause bool) int {
			id, secret, kept := f.client(plan{expiresIn: lives})
			text := p.snippets[r.snippet]
			if !strings.HasSuffix(r.snippet, ".yml") { // that one goes on by itself
				text = twice(t, r.snippet, text, pause)
			}
			got := f.run(t, r, text, id, secret)
			require.Equal(t, renews || !pause, got.ok, got.output)
			return len(f.seen(kept))
		}
		switch {
		case seconds > 0:
			t.Run(r.snippet+" shortly before", func(t *testing.T) {
				t.Parallel()
				require.Greater(t, fetches(t, seconds-2, false), 1)
			})
			t.Run(r.snippet+" long before", func(t *testing.T) {
				t.Parallel()
				require.Equal(t, 1, fetches(t, seconds+60, false))
			})
		case renews:
			t.Run(r.snippet+" before", func(t *testing.T) {
				t.Parallel()
				require.Equal(t, 1, fetches(t, 30, false))
			})
			t.Run(r.snippet+" after", func(t *testing.T) {
				t.Parallel()
				require.Equal(t, 2, fetches(t, 1, true))
			})
		default:
			require.Contains(t, []string{"no", "in the background"}, r.early)
		}
	}
}

// TestEachTrapSaysWhatThePageShows: the error that one will look for.
func TestEachTrapSaysWhatThePageShows(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, trap := range p.traps {
		t.Run(trap.snippet+" "+trap.new, func(t *testing.T) {
			t.Parallel()
			got := f.fall(t, p, trap)
			for line := range strings.Lines(trap.says) {
				for part := range strings.SplitSeq(strings.TrimSpace(line), "…") { // oauthlib's order varies
					require.Contains(t, got.output, part)
				}
			}
		})
	}
}

// fall runs the snippet of a trap with what is wrong in it.
func (f *front) fall(t *testing.T, p page, trap trap) result {
	t.Helper()
	text, lives := strings.Replace(p.snippets[trap.snippet], trap.old, trap.new, 1), 0
	for _, r := range p.proofs {
		if r.snippet == trap.snippet {
			got, _, _ := f.prove(t, r, text)
			return got
		}
	}
	if trap.late {
		text, lives = twice(t, trap.snippet, text, true), 1
	}
	var of row
	for _, r := range p.rows {
		if r.snippet == trap.snippet {
			of = r
		}
	}
	id, secret, _ := f.client(plan{expiresIn: lives})
	return f.run(t, of, text, id, secret)
}

// TestGoWithoutAStyleAsksTwice is what the page says of x/oauth2's AuthStyle,
// and that Prometheus is the same.
func TestGoWithoutAStyleAsksTwice(t *testing.T) {
	f := newFront(t)
	ctx := context.WithValue(t.Context(), oauth2.HTTPClient, f.proxy.Client())
	for style, times := range map[oauth2.AuthStyle]int{oauth2.AuthStyleAutoDetect: 2, oauth2.AuthStyleInHeader: 1} {
		id := fmt.Sprint("nobody of style ", style)
		asked := f.stranger(id)
		config := clientcredentials.Config{ClientID: id, ClientSecret: "wrong", TokenURL: f.proxy.URL + "/oauth2/token",
			AuthStyle: style}
		_, err := config.Token(ctx)
		require.Error(t, err)
		require.Len(t, f.seen(asked), times)
	}
}

// TestErrorsThatShowTheSecret: the page warns to log them whole.
func TestErrorsThatShowTheSecret(t *testing.T) {
	needs.Service(t, programs)
	p, f := readPage(t), newFront(t)
	for _, r := range p.rows {
		if r.snippet != "simple-oauth2.mjs" && r.snippet != "axios.mjs" {
			continue
		}
		id, secret, _ := f.client(plan{})
		text := strings.Replace(p.snippets[r.snippet], "'clusters:view'", "'clusters:viev'", 1)
		text = strings.Replace(text,
			".catch(err => { throw new Error(JSON.stringify(err.response?.data) ?? err.message) })", "", 1)
		got := f.run(t, r, text, id, secret)
		require.False(t, got.ok)
		basic := base64.StdEncoding.EncodeToString([]byte(id + ":" + secret))
		require.True(t, strings.Contains(got.output, basic) || strings.Contains(got.output, secret), got.output)
	}
}
