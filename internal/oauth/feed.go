package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// feedPage is an answer of the revocation feed in its polling form, and, without
// the cursor, the data of a snapshot event.
type feedPage struct {
	Cursor      string            // empty: not said
	Snapshot    bool              // begins anew: what was held before may be forgotten once More is not set
	More        bool              // not all: the rest follows, or is had with since=cursor
	Revocations []json.RawMessage // as in [feed.Page]
}

// appendJSON appends the page in its form on the wire. The entries are JSON
// already: to have them read once more would take most of the time.
func (p feedPage) appendJSON(b []byte) []byte {
	size := 80
	for _, entry := range p.Revocations {
		size += len(entry) + 1
	}
	b = append(slices.Grow(b, size), '{')
	if p.Cursor != "" {
		b = append(append(append(b, `"cursor":"`...), p.Cursor...), `",`...)
	}
	if p.Snapshot {
		b = append(b, `"snapshot":true,`...)
	}
	if p.More {
		b = append(b, `"more":true,`...)
	}
	b = append(b, `"revocations":[`...)
	for i, entry := range p.Revocations {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, entry...)
	}
	return append(b, "]}"...)
}

// revocations serves the feed to clients that may introspect: all entries to the
// operator's organization, to others their own.
func (e *Endpoints) revocations(c *gin.Context) {
	c.Header("Vary", "Accept")
	asker, text, refusal := e.subscriber(c, e.cfg.Feed.Askers)
	if refusal != nil {
		e.refuse(c, asker.ClientID, refusal)
		return
	}
	who := identify(c.Request.Header, asker)
	if strings.Contains(c.GetHeader("Accept"), "text/event-stream") {
		e.stream(c, who, text)
		return
	}
	since := int64(0)
	if given := c.Query("since"); given != "" {
		n, err := strconv.ParseInt(given, 10, 64)
		if err != nil || n < 0 {
			e.refuse(c, asker.ClientID, badRequest("since is no cursor of this feed"))
			return
		}
		since = n
	}
	e.poll(c, who, since)
}

// poll serves the feed as JSON: what came after a cursor.
func (e *Endpoints) poll(c *gin.Context, who feed.Identity, since int64) {
	leave, err := e.cfg.Feed.Poll(who.Scope)
	if err != nil {
		e.refuse(c, who.ClientID, crowded())
		return
	}
	defer leave()
	request.Release(c) // those who wait for their turn must not hold the slots of all others
	from, head, err := e.cfg.Feed.Begin(request.Context(c), since)
	var page feed.Page
	if err == nil {
		page, err = e.cfg.Feed.Page(request.Context(c), who.Scope, from, head)
	}
	if err != nil {
		e.refuse(c, who.ClientID, unreadable(err))
		return
	}
	if interval, err := time.ParseDuration(c.GetHeader("Svcauth-Interval")); err == nil {
		e.cfg.Feed.Polled(who, interval)
	}
	recordOutcome(c, who.ClientID, nil)
	answer := feedPage{
		Cursor:   strconv.FormatInt(page.Next, 10),
		Snapshot: from == 0, More: page.More, Revocations: page.Entries,
	}
	writeJSON(c, http.StatusOK, answer.appendJSON(nil))
}

// subscriber authenticates a subscriber of the feed, within the bounds on
// callers, and returns its token too. What is too much is refused before anything is
// read of it, or for it.
func (e *Endpoints) subscriber(c *gin.Context, callersOf func(feed.Scope) *limits.Callers) (asker token.Asker, text string, refusal *token.Error) {
	scheme, text, _ := strings.Cut(c.GetHeader("Authorization"), " ")
	text = strings.TrimSpace(text)
	if !strings.EqualFold(scheme, "Bearer") || text == "" {
		return asker, "", token.Refuse(token.CodeInvalidToken, noBearer, "expected Authorization: Bearer with a token that carries tokens:introspect")
	}
	asker, refusal = e.cfg.Token.AskerFromBearer(request.Context(c), text)
	if refusal != nil {
		return asker, "", refusal
	}
	callers := callersOf(scopeOf(asker))
	leave, wait := callers.Enter(asker.ClientID, asker.OrgID, time.Now())
	if wait > 0 {
		if asker.Privileged {
			e.cfg.Feed.Missed(scopeOf(asker))
		}
		request.Delay(c, callers, asker.ClientID)
		refusal = token.Refuse(token.CodeSlowDown, "feed_rate",
			"this client, or all of its organization, asked for the revocation feed or sent receipts too often "+
				"within the last seconds; wait as Retry-After says, then go on from the same cursor, more slowly: "+
				"nothing is lost meanwhile")
		refusal.RetryAfter = wait
		return asker, "", refusal
	}
	leave()
	if !asker.Privileged {
		callers.Refused(asker.ClientID, asker.OrgID, time.Now())
		refusal = token.Refuse(token.CodeInsufficientScope, "scope", "the token lacks the privilege tokens:introspect")
	}
	return asker, text, refusal
}

func scopeOf(asker token.Asker) feed.Scope {
	return feed.Scope{OrgID: asker.OrgID, Operator: asker.Operator}
}

// identify reads what a resource server says of itself. It is shown to people and
// otherwise not relied on.
func identify(h http.Header, asker token.Asker) feed.Identity {
	return feed.Identity{Scope: scopeOf(asker), ClientID: asker.ClientID,
		Name: label(h.Get("Svcauth-Resource-Server"), 128), Audience: label(h.Get("Svcauth-Audience"), 256), Instance: label(h.Get("Svcauth-Instance"), 64)}
}

// label keeps printable ASCII, and not more than size of it. A secret is looked
// for in what will be shown, before that is cut: half a one has no form.
func label(s string, size int) string {
	s = svcauth.RedactSecrets(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s))
	return s[:min(len(s), size)]
}

const maxAck = 4 << 10

// acknowledge takes the receipt of a resource server: it enforces everything up to the cursor.
func (e *Endpoints) acknowledge(c *gin.Context) {
	asker, _, refusal := e.subscriber(c, e.cfg.Feed.Confirmers)
	if refusal != nil {
		e.refuse(c, asker.ClientID, refusal)
		return
	}
	var ack struct {
		Cursor   string `json:"cursor"`
		Name     string `json:"name"`
		Audience string `json:"audience"`
		Instance string `json:"instance"`
	}
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxAck)).Decode(&ack)
	cursor, cursorErr := strconv.ParseInt(ack.Cursor, 10, 64)
	if err != nil || cursorErr != nil || cursor < 0 {
		e.refuse(c, asker.ClientID, badRequest(`expected a JSON body of at most 4 KiB such as {"cursor":"42","name":"clusters",`+
			`"audience":"https://api.example.com","instance":"pod-1"}, the cursor as the feed gave it`))
		return
	}
	who := identify(http.Header{}, asker)
	who.Name, who.Audience, who.Instance = label(ack.Name, 128), label(ack.Audience, 256), label(ack.Instance, 64)
	switch err := e.cfg.Feed.Ack(request.Context(c), who, cursor); {
	case errors.Is(err, feed.ErrAhead):
		e.refuse(c, asker.ClientID, badRequest("the cursor is ahead of the feed: send one that the feed gave"))
	case errors.Is(err, feed.ErrFull):
		e.refuse(c, asker.ClientID, full())
	case err != nil:
		e.refuse(c, asker.ClientID, unreadable(err))
	default:
		recordOutcome(c, asker.ClientID, nil)
		c.Header("Cache-Control", "no-store")
		c.Status(http.StatusNoContent)
		c.Writer.WriteHeaderNow()
	}
}

func crowded() *token.Error {
	e := token.Refuse(token.CodeUnavailable, "polls", "too many of your organization, or of all, "+
		"ask for the revocation feed at this moment; try again in a second, or follow the stream")
	e.RetryAfter = time.Second
	return e
}

func full() *token.Error {
	e := token.Refuse(token.CodeUnavailable, "followers",
		"too many follow the revocation feed at this node; try another one, or again in a moment")
	e.RetryAfter = 5 * time.Second
	return e
}
