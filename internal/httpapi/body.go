package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/token"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

const (
	// maxHeaderLines bounds what a request keeps while it waits or is in work:
	// a header of empty lines takes twenty times its size in memory.
	maxHeaderLines = 100
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
	case managed(path):
		return maxBody
	case strings.HasPrefix(path, "/console/"):
		return max(maxForm, s.cfg.ConsoleForm)
	}
	return maxForm
}

// readBody reads the body within the route's limit and puts what it read in
// its place; a face that reads a body that is too large gets
// *http.MaxBytesError. One that says so is not read at all. More than maxForm
// is read only from callers who have authenticated. It holds no place while it
// reads, and it reports whether the request goes on.
func (s *Server) readBody(c *gin.Context) bool {
	r, conn := c.Request, limits.ConnFrom(c.Request.Context())
	lines := 0
	for _, values := range r.Header {
		lines += len(values)
	}
	if lines > maxHeaderLines {
		s.leaveUnread(c)
		e := badRequest("the request has more than %d header fields", maxHeaderLines)
		e.Status = http.StatusRequestHeaderFieldsTooLarge
		s.refuse(c, "", e)
		return false
	}
	if r.ContentLength == 0 {
		return true
	}
	limit := s.bodyLimit(c)
	if limit > maxForm && (r.ContentLength < 0 || r.ContentLength > maxForm) {
		known, ok := s.known(c)
		if !ok {
			return false
		}
		if !known {
			limit = maxForm
		}
	}
	body := &readAhead{err: &http.MaxBytesError{Limit: int64(limit)}}
	if limit > 0 && r.ContentLength <= int64(limit) {
		conn.Await()
		body.read(r.Body, int(r.ContentLength), limit)
		conn.Work()
	}
	if body.err != io.EOF {
		s.leaveUnread(c)
	}
	r.Body = body
	return true
}

// leaveUnread has the connection end with the answer, a moment later.
func (s *Server) leaveUnread(c *gin.Context) {
	c.Header("Connection", "close")
	c.Set(unread, true)
}

const unread = "unread"

// endUnread bounds how long net/http looks for the rest of a body that nobody
// wants, after the answer.
func endUnread(c *gin.Context) {
	if c.GetBool(unread) {
		limits.ConnFrom(c.Request.Context()).Settle()
		_ = http.NewResponseController(c.Writer).SetReadDeadline(time.Now().Add(leaveWithin))
	}
}

// known reports whether the caller has authenticated by what the header
// carries. Finding out takes a place. If there is none, or it can't be found
// out, the request has been refused and ok is false.
func (s *Server) known(c *gin.Context) (known, ok bool) {
	p := s.take(c)
	if p == nil {
		s.shed(c)
		return false, false
	}
	defer p.GiveBack()
	var cause error
	if scheme, text, _ := strings.Cut(c.GetHeader("Authorization"), " "); strings.EqualFold(scheme, "Bearer") {
		_, err := s.cfg.Token.VerifyOwn(c.Request.Context(), strings.TrimSpace(text))
		var refusal *resourceserver.Error
		if known = err == nil; errors.As(err, &refusal) && refusal.Code == resourceserver.CodeUnavailable {
			cause = err
		}
	} else if s.cfg.SessionActor != nil {
		_, known, cause = s.cfg.SessionActor(c.Request.WithContext(&p.within))
	}
	if cause != nil {
		s.leaveUnread(c)
		s.refuse(c, "", unreadable(cause))
	}
	return known, cause == nil
}

// readAhead is a body that has been read, with the error that ended it.
type readAhead struct {
	begin bytes.Reader
	err   error
}

// read reads what src has, which says to have length bytes (less than 0: it
// does not say), into room that grows as they come. Beyond limit the body ends
// with *http.MaxBytesError.
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

// busy is the refusal for want of a place.
func busy() *token.Error {
	e := token.Refuse(token.CodeUnavailable, overload, "the server is busy; try again in a moment")
	e.RetryAfter = time.Second
	return e
}
