package app

import (
	"bytes"
	"net"
	"net/http"
	"strconv"

	"github.com/svcauth/svcauth/internal/limits"
)

// net/http itself answers what it can't read as a request (400, 431, 501, 505),
// before any handler, in plain text and without a line in the log. It has no
// hook for that, but writes these answers to the connection as they are: with
// exactly these header fields and no others, as no handler's answer has them.
const (
	layerBegin = "HTTP/1.1 "
	layerMark  = "\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
)

// inForm gives such an answer the form of all others, and leaves any other as
// it is.
func (a *App) inForm(p []byte, to net.Addr) []byte {
	if string(p) == limits.ClearToTLS {
		return a.face.Unread(http.StatusBadRequest, clearToTLS, to)
	}
	status, text, ok := layerRefusal(p)
	if !ok {
		return p
	}
	return a.face.Unread(status, text, to)
}

// layerRefusal takes an answer of net/http's own apart: its status, and what it
// says of the fault beside, if anything.
func layerRefusal(b []byte) (status int, text string, ok bool) {
	if !bytes.HasPrefix(b, []byte(layerBegin)) || len(b) > 512 {
		return 0, "", false
	}
	line, _, ok := bytes.Cut(b[len(layerBegin):], []byte(layerMark))
	if !ok || bytes.Contains(line, []byte("\r\n")) || len(line) < 3 {
		return 0, "", false
	}
	status, err := strconv.Atoi(string(line[:3]))
	_, said, _ := bytes.Cut(line, []byte(": "))
	return status, string(said), err == nil
}

// clearToTLS is said to whoever forgets the s of https.
const clearToTLS = "this is an HTTPS address, and the request came in clear: begin the URL with https"
