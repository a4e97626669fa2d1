package oauth

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/feed"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/internal/wire"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// revocations serves the feed to clients that may introspect. The operator's
// organization gets all entries, others get their own.
func (e *Endpoints) revocations(c *gin.Context) {
	c.Header("Vary", "Accept")
	asker, text, refusal := e.subscriber(c, e.cfg.Feed.PageCallers)
	if refusal != nil {
		e.refuse(c, asker.ClientID, refusal)
		return
	}
	who := identify(c.Request.Header, asker)
	if strings.Contains(c.GetHeader("Accept"), wire.EventStream) {
		e.stream(c, who, text)
		return
	}
	since := int64(0)
	if given := c.Query(wire.SinceParam); given != "" {
		n, ok := feed.ParseCursor(given)
		if !ok {
			e.refuse(c, asker.ClientID, badRequest("since is no cursor of this feed"))
			return
		}
		since = n
	}
	e.poll(c, who, since)
}

// poll serves what came after a cursor as JSON.
func (e *Endpoints) poll(c *gin.Context, who feed.Subscriber, since int64) {
	end, err := e.cfg.Feed.BeginPoll(who.Scope)
	if err != nil {
		e.refuse(c, who.ClientID, crowded())
		return
	}
	defer end()
	request.Release(c) // whoever waits for its turn must not hold the slots of all others
	from, head, err := e.cfg.Feed.Begin(request.Context(c), since)
	var page feed.Page
	if err == nil {
		page, err = e.cfg.Feed.Page(request.Context(c), who.Scope, from, head)
	}
	if err != nil {
		e.refuse(c, who.ClientID, unreadable(err))
		return
	}
	if interval, err := time.ParseDuration(c.GetHeader(wire.HeaderInterval)); err == nil {
		e.cfg.Feed.Polled(who, interval)
	}
	recordOutcome(c, who.ClientID, nil)
	answer := wire.Page[[]json.RawMessage]{
		Cursor: page.Cursor(), Snapshot: from == 0, More: page.More, Revocations: page.Entries,
	}
	writeJSON(c, http.StatusOK, wire.AppendPage(nil, answer))
}

// subscriber authenticates a subscriber of the feed, within the bounds on
// callers, and returns its token too. A call over the bounds is refused before
// its body, or anything for it, is read.
func (e *Endpoints) subscriber(
	c *gin.Context, callersOf func(feed.Scope) *limits.Callers,
) (asker token.Introspector, text string, refusal *oautherr.Error) {
	shown, ok := present(c)
	if !ok {
		refusal = oautherr.New(oautherr.CodeInvalidToken, "no_bearer",
			"expected one header Authorization: Bearer (or DPoP) with a token that carries tokens:introspect")
		refusal.Challenge = oautherr.BearerChallenge("", "", "") // RFC 6750 §3.1: no code if no token came
		return asker, "", refusal
	}
	asker, refusal = e.bearer(c, shown, func(by token.Introspector) (func(), *oautherr.Error) {
		return e.admit(c, callersOf(scopeOf(by)), by)
	})
	if refusal != nil {
		return asker, "", refusal
	}
	if !asker.Privileged {
		callersOf(scopeOf(asker)).Refused(asker.ClientID, asker.OrgID, time.Now())
		refusal = oautherr.New(oautherr.CodeInsufficientScope, "scope",
			"the token lacks the privilege tokens:introspect")
		refusal.Challenge = oautherr.Challenge(shown.Scheme, refusal.Code, "", svcauth.TokensIntrospect)
	}
	return asker, shown.Token, refusal
}

// admit counts a call of the feed, as [token.Admission] says.
func (e *Endpoints) admit(
	c *gin.Context, callers *limits.Callers, by token.Introspector,
) (withdraw func(), refusal *oautherr.Error) {
	leave, wait := callers.Enter(by.ClientID, by.OrgID, time.Now())
	if wait == 0 {
		leave()
		return func() { callers.TakeBack(by.ClientID, by.OrgID, time.Now()) }, nil
	}
	if by.Privileged {
		e.cfg.Feed.MarkUncounted(scopeOf(by))
	}
	request.Delay(c, callers, by.ClientID)
	refusal = oautherr.New(oautherr.CodeSlowDown, "feed_rate",
		"this client, or all of its organization, asked for the revocation feed or sent receipts too often "+
			"within the last seconds; wait as Retry-After says, then go on from the same cursor, more slowly: "+
			"nothing is lost meanwhile")
	refusal.RetryAfter = wait
	return nil, refusal
}

func scopeOf(asker token.Introspector) feed.Scope {
	return feed.Scope{OrgID: asker.OrgID, Operator: asker.Operator}
}

// identify reads what a resource server says of itself. It is shown to people,
// and nothing else relies on it.
func identify(h http.Header, asker token.Introspector) feed.Subscriber {
	return labelled(asker, wire.Receipt{
		Name: h.Get(wire.HeaderName), Audience: h.Get(wire.HeaderAudience), Instance: h.Get(wire.HeaderInstance),
		Version: h.Get(wire.HeaderVersion),
	})
}

func labelled(asker token.Introspector, r wire.Receipt) feed.Subscriber {
	return feed.Subscriber{
		Scope: scopeOf(asker), ClientID: asker.ClientID, Name: label(r.Name, wire.MaxName),
		Audience: label(r.Audience, wire.MaxAudience), Instance: label(r.Instance, wire.MaxInstance),
		Version: label(r.Version, wire.MaxVersion),
	}
}

// label returns the printable ASCII of s, at most size bytes. It looks for
// secrets before it cuts: half a secret would not be recognized.
func label(s string, size int) string {
	s = untrusted.RedactSecrets(strings.Map(func(r rune) rune {
		if r < 0x20 || r > 0x7e {
			return -1
		}
		return r
	}, s))
	return s[:min(len(s), size)]
}

const maxAck = 4 << 10

// acknowledge takes the receipt of a resource server that enforces everything
// up to the cursor.
func (e *Endpoints) acknowledge(c *gin.Context) {
	asker, _, refusal := e.subscriber(c, e.cfg.Feed.ReceiptCallers)
	if refusal != nil {
		e.refuse(c, asker.ClientID, refusal)
		return
	}
	var ack wire.Receipt
	err := json.NewDecoder(http.MaxBytesReader(c.Writer, c.Request.Body, maxAck)).Decode(&ack)
	cursor, ok := feed.ParseCursor(ack.Cursor)
	if err != nil || !ok {
		e.refuse(c, asker.ClientID, badRequest(
			`expected a JSON body of at most 4 KiB such as {"cursor":"42","name":"clusters",`+
				`"audience":"https://api.example.com","instance":"pod-1"}, the cursor as the feed gave it`))
		return
	}
	switch err := e.cfg.Feed.Ack(request.Context(c), labelled(asker, ack), cursor); {
	case errors.Is(err, feed.ErrUnknownCursor):
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

func crowded() *oautherr.Error {
	e := oautherr.New(oautherr.CodeUnavailable, "polls", "too many of your organization, or of all, "+
		"ask for the revocation feed at this moment; try again in a second, or follow the stream")
	e.RetryAfter = time.Second
	return e
}

func full() *oautherr.Error {
	e := oautherr.New(oautherr.CodeUnavailable, "followers",
		"too many follow the revocation feed at this node; try another one, or again in a moment")
	e.RetryAfter = 5 * time.Second
	return e
}
