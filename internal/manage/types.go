package manage

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Item is the id in a path.
type Item struct {
	ID string `path:"id" doc:"Its id"`
}

// Page is what every list takes.
type Page struct {
	Limit  int    `query:"limit" minimum:"1" maximum:"200" default:"50" doc:"How many at most"`
	Cursor string `query:"cursor" maxLength:"512" doc:"The next_cursor of the page before; absent: the first page"`
}

func (p Page) options() svcauth.ListOptions {
	return svcauth.ListOptions{Limit: p.Limit, Cursor: p.Cursor}
}

// Waiting is the query of a call that takes something away from live tokens
// (contract §5).
type Waiting struct {
	Wait string `query:"wait" example:"2s" doc:"Hold the answer until every connected resource server enforces the change, for at most this long (such as 2s, up to 10s)"`

	limit time.Duration
}

// Resolve reads the duration.
func (w *Waiting) Resolve(huma.Context) []error {
	if w.Wait == "" {
		return nil
	}
	var err error
	if w.limit, err = time.ParseDuration(w.Wait); err != nil || w.limit < 0 || w.limit > svcauth.MaxWait {
		return []error{&huma.ErrorDetail{
			Location: "query.wait",
			Message: fmt.Sprintf("expected a duration of at most %s, such as 2s or 500ms",
				timespan.Text(svcauth.MaxWait)),
		}}
	}
	return nil
}

// Match is the condition of a PATCH, RFC 9110 §13.1.1.
type Match struct {
	IfMatch string `header:"If-Match" example:"\"7\"" doc:"The ETag of what you read; where somebody changed it since, the answer is 412. Absent or *: any"`

	version int64 // 0 matches any
}

// Resolve reads the one entity tag. A weak one, and one that is not ours,
// matches nothing (strong comparison, RFC 9110 §8.8.3.2).
func (m *Match) Resolve(huma.Context) []error {
	text := strings.TrimSpace(m.IfMatch)
	if text == "" || text == "*" {
		return nil
	}
	opaque, weak := strings.CutPrefix(text, "W/")
	if len(opaque) < 2 || opaque[0] != '"' || opaque[len(opaque)-1] != '"' ||
		strings.Contains(opaque[1:len(opaque)-1], `"`) {
		return []error{&huma.ErrorDetail{
			Location: "header.If-Match",
			Message:  `expected one entity tag as the ETag header gave it, such as "7", or *`,
		}}
	}
	version, err := strconv.ParseInt(opaque[1:len(opaque)-1], 10, 64)
	if weak || err != nil || version < 1 {
		return []error{foreignTag{}}
	}
	m.version = version
	return nil
}

// foreignTag refuses an entity tag that this server did not make. It explains
// how that can come about: that somebody changed the thing would be untrue.
type foreignTag struct{}

func (foreignTag) Error() string { return "is no entity tag of this server" }

// GetStatus is asked by the library.
func (foreignTag) GetStatus() int { return http.StatusPreconditionFailed }

// ErrorDetail is asked by the library.
func (foreignTag) ErrorDetail() *huma.ErrorDetail {
	return &huma.ErrorDetail{
		Location: "header.If-Match",
		Message: `this server gives tags such as "7"; ` +
			`where a proxy that compresses has made W/"7" or "7-gzip" of it, send "7"`,
	}
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// plain, versioned, created and createdVersion are answers with a body.
type plain[T any] struct{ Body T }

type versioned[T any] struct {
	ETag string `header:"ETag" doc:"Its version, for If-Match"`
	Body T
}

type created[T any] struct {
	Location string `header:"Location" doc:"Where it is"`
	Body     T
}

type createdVersion[T any] struct {
	Location string `header:"Location" doc:"Where it is"`
	ETag     string `header:"ETag" doc:"Its version, for If-Match"`
	Body     T
}

// located is an answer with a Location. Handlers set it without the issuer's
// path; add completes it for each of them.
type located interface{ under(base string) }

func (c *created[T]) under(base string)        { c.Location = base + c.Location }
func (c *createdVersion[T]) under(base string) { c.Location = base + c.Location }

// done answers what takes something away.
type done struct {
	Status int
	Body   *svcauth.Enforcement
}

// granted answers a grant.
type granted struct {
	Status int
	Body   *svcauth.GrantAnswer
}

func page[T any](list svcauth.List[T], err error) (*plain[svcauth.List[T]], error) {
	if list.Items == nil {
		list.Items = []T{}
	}
	return &plain[svcauth.List[T]]{list}, err
}

func unversioned[T any](one T, err error) (*plain[T], error) { return &plain[T]{one}, err }

// takeAway makes the change, then waits for its enforcement if the caller asks
// for that.
func (m *API) takeAway(ctx context.Context, w Waiting, change func() error) (*done, error) {
	e, err := m.enforcement(ctx, w, change)
	switch {
	case err != nil:
		return nil, err
	case e != nil:
		return &done{Status: 200, Body: e}, nil
	}
	return &done{Status: 204}, nil
}

// enforcement makes a change and waits for its enforcement. It returns nil if
// the caller did not ask for that.
func (m *API) enforcement(ctx context.Context, w Waiting, change func() error) (*svcauth.Enforcement, error) {
	waits := w.limit > 0 && m.cfg.Enforced != nil
	if waits {
		defer m.cfg.Expect(ctx)()
	}
	if err := change(); err != nil || w.limit <= 0 {
		return nil, err
	}
	e := svcauth.Enforcement{}
	if waits {
		state := request.From(ctx)
		state.Release()
		state.Leave()
		e = m.cfg.Enforced(ctx, w.limit)
	}
	return &e, nil
}
