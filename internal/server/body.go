package server

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/manage"
	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/request"
)

const (
	// firstRead is how much of a body is made room for before any of it has
	// come: a caller that sends nothing costs no more.
	firstRead = 1 << 10
	// leaveWithin is how long a connection stays after an answer that came
	// before the body was read. Closed at once, it could take the answer along.
	leaveWithin = 500 * time.Millisecond
)

// bodyLimit returns how many bytes of a body the request's route takes.
func (s *Server) bodyLimit(c *gin.Context) int {
	path := c.FullPath()
	switch {
	case path == "" || c.Request.Method == http.MethodGet:
		return 0
	case manage.Owns(path):
		return manage.MaxBody
	case strings.HasPrefix(path, "/console/"):
		return max(oauth.MaxForm, s.cfg.ConsoleForm)
	}
	return oauth.MaxForm
}

// readBody reads the body within the route's limit and puts what it read in its
// place. A face that reads a body that is too large gets *http.MaxBytesError. A
// body whose Content-Length is too large is not read at all. More than
// oauth.MaxForm is read only from callers who have authenticated. readBody
// holds no slot while it reads, and it reports whether the request goes on.
func (s *Server) readBody(c *gin.Context, conn *limits.Conn) bool {
	r, lines := c.Request, 0
	for _, values := range r.Header {
		lines += len(values)
	}
	if lines > request.MaxHeaderFields {
		leaveUnread(c)
		s.refuse(c, request.TooManyFields, nil)
		return false
	}
	if r.ContentLength == 0 {
		return true
	}
	limit := s.bodyLimit(c)
	if limit > oauth.MaxForm && (r.ContentLength < 0 || r.ContentLength > oauth.MaxForm) {
		known, ok := s.known(c)
		if !ok {
			return false
		}
		if !known {
			limit = oauth.MaxForm
		}
	}
	body := &readAhead{err: &http.MaxBytesError{Limit: int64(limit)}}
	if limit > 0 && r.ContentLength <= int64(limit) {
		conn.Await()
		body.read(r.Body, int(r.ContentLength), limit)
		conn.Work()
	}
	if body.err != io.EOF {
		leaveUnread(c)
	}
	r.Body = body
	return true
}

// leaveUnread lets the connection end a moment after the answer.
func leaveUnread(c *gin.Context) {
	c.Header("Connection", "close")
	request.Of(c).LeaveBody = true
}

// endUnread bounds how long net/http looks for the rest of a body that nobody
// wants, after the answer.
func endUnread(c *gin.Context) {
	if request.Of(c).LeaveBody {
		limits.ConnFrom(c.Request.Context()).Settle()
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(leaveWithin))
	}
}

// known reports whether the caller has authenticated by what the header
// carries. Finding out takes a slot. If there is none, or it can't be found
// out, the request has been refused and ok is false.
func (s *Server) known(c *gin.Context) (known, ok bool) {
	p := s.take(c)
	if p == nil {
		s.shed(c)
		return false, false
	}
	defer p.Release()
	known, err := s.cfg.Manage.Known(c.Request, &p.within)
	if err != nil {
		leaveUnread(c)
		s.refuse(c, request.Unavailable, err)
	}
	return known, err == nil
}

// readAhead is a body that has been read, with the error that ended it.
type readAhead struct {
	begin bytes.Reader
	err   error
}

// read reads src into room that grows as bytes come. length is the announced
// length in bytes, and negative if none is announced. Beyond limit the body
// ends with *http.MaxBytesError.
func (b *readAhead) read(src io.Reader, length, limit int) {
	size := limit + 1
	if length >= 0 {
		size = length
	}
	raw := make([]byte, 0, min(size, firstRead))
	var err error
	for err == nil && len(raw) < size {
		if len(raw) == cap(raw) {
			raw = append(make([]byte, 0, min(size, 4*cap(raw))), raw...)
		}
		var n int
		n, err = src.Read(raw[len(raw):cap(raw)])
		raw = raw[:len(raw)+n]
	}
	switch {
	case len(raw) == length:
		b.err = io.EOF
	case err != nil:
		b.err = err
	}
	if err == io.EOF && len(raw) < length {
		b.err = io.ErrUnexpectedEOF
	}
	b.begin.Reset(raw)
}

// Read implements io.Reader.
func (b *readAhead) Read(p []byte) (int, error) {
	if b.begin.Len() == 0 {
		return 0, b.err
	}
	return b.begin.Read(p)
}

// Close implements io.Closer. The connection's own body is net/http's to
// close.
func (b *readAhead) Close() error { return nil }
