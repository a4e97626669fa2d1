package console

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/request"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// exportPace is the time from page to page of an export: it is read no faster,
// so that it takes nothing from those who wait for the database. A test changes
// it.
var exportPace = 20 * time.Millisecond

// Each organization has one export at a time at this node.
const (
	exportWrite  = 30 * time.Second // for one page
	exportLength = 15 * time.Minute
	exportRetry  = 10 * time.Second
	maxExports   = 8
)

func newExports() *limits.Shares[string] {
	return limits.NewShares[string](limits.Bound{Total: maxExports, Each: 1})
}

// exportFormat is how a file of events is written.
type exportFormat struct {
	media, suffix string
	head          string
	line          func(*bytes.Buffer, svcauth.AuditEvent) error
}

var exportFormats = map[string]exportFormat{
	"csv": {
		media:  "text/csv; charset=utf-8; header=present", // RFC 4180 §3
		suffix: ".csv",
		head: "time,id,count,actor,actor_kind,actor_id,client_id,action,target,target_kind,target_id," +
			"outcome,reason,ip,request_id,before,after\r\n",
		line: csvLine,
	},
	"json-lines": {
		media:  "application/x-ndjson",
		suffix: ".ndjson",
		line: func(to *bytes.Buffer, e svcauth.AuditEvent) error {
			encoder := json.NewEncoder(to)
			encoder.SetEscapeHTML(false)
			return encoder.Encode(e)
		},
	},
}

func csvLine(to *bytes.Buffer, e svcauth.AuditEvent) error {
	w := csv.NewWriter(to)
	w.UseCRLF = true
	cells := []string{
		e.Time.UTC().Format("2006-01-02T15:04:05.000Z"), e.ID, strconv.Itoa(e.Count),
		e.Actor.Name, e.Actor.Kind, e.Actor.ID, e.Actor.ClientID,
		e.Action, e.Target.Name, e.Target.Kind, e.Target.ID, e.Outcome, e.Reason, e.IP, e.RequestID,
		orEmpty(e.Before), orEmpty(e.After),
	}
	for i := range cells {
		cells[i] = harmless(cells[i])
	}
	if err := w.Write(cells); err != nil {
		return err
	}
	w.Flush()
	return w.Error()
}

func orEmpty(raw json.RawMessage) string {
	if string(raw) == "null" {
		return ""
	}
	return string(raw)
}

// harmless keeps a text that somebody chose from being a formula where the file
// is opened as a spreadsheet.
func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r", rune(text[0])) {
		return "'" + text
	}
	return text
}

// export writes the pages, beginning with first, which was read already. A file
// that can't be written to its end breaks off, so that the browser says so.
func (v *visit) export(format exportFormat, filter svcauth.AuditFilter, page svcauth.List[svcauth.AuditEvent]) {
	if request.IsHead(v.Request) {
		return
	}
	limits.Release(v.ctx()) // its bound is [maxExports]
	control := http.NewResponseController(v.Writer)
	_ = control.SetReadDeadline(time.Time{}) // else the server's own would end the request's context
	until := time.Now().Add(exportLength)
	text := bytes.NewBufferString(format.head)
	for {
		for _, e := range page.Items {
			if err := format.line(text, e); err != nil {
				v.breakOff(control, err)
				return
			}
		}
		err := control.SetWriteDeadline(time.Now().Add(exportWrite))
		if err == nil {
			_, err = v.Writer.Write(text.Bytes())
		}
		if err == nil {
			err = control.Flush()
		}
		if err != nil || page.NextCursor == nil {
			return
		}
		text.Reset()
		filter.Cursor = *page.NextCursor
		time.Sleep(exportPace)
		if time.Now().After(until) {
			v.breakOff(control, nil)
			return
		}
		if page, err = v.nextPage(filter); err != nil {
			v.breakOff(control, err)
			return
		}
	}
}

// nextPage reads a further page as whoever the session's member is by then: an
// export may outlast the session, and what its member may read.
func (v *visit) nextPage(filter svcauth.AuditFilter) (none svcauth.List[svcauth.AuditEvent], err error) {
	// The request's own context holds the session as it was.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	defer context.AfterFunc(v.ctx(), cancel)()
	actor, ok, err := v.k.Actor(v.Request.Clone(ctx))
	if err != nil {
		return none, err
	}
	if !ok {
		return none, errors.New("the session has ended")
	}
	v.actor = actor
	v.act()
	return v.k.cfg.Access.AuditEvents(v.ctx(), filter)
}

// breakOff ends a file that is not whole: the connection is closed before the
// end of the answer.
func (v *visit) breakOff(control *http.ResponseController, err error) {
	v.k.cfg.Logger.WarnContext(v.ctx(), "an export of the audit log broke off", "request_id", v.requestID(),
		"error", err)
	_ = control.SetWriteDeadline(time.Unix(1, 0))
}
