package server

import (
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"

	"github.com/svcauth/svcauth/internal/oauth"
	"github.com/svcauth/svcauth/internal/oautherr"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// notHTTP is the reason for refusing what is no HTTP request.
const notHTTP = "http"

// Unread returns the answer to what could not be read as a request, as it goes
// over the wire. It has a request id and a log line like any other. text is
// what is known of the fault. It may be empty.
func (s *Server) Unread(status int, text string, from net.Addr) []byte {
	switch {
	case status == http.StatusRequestHeaderFieldsTooLarge:
		text = "the header of the request is too large: at most 16 KiB, a token in it included"
	case text == "" && status == http.StatusBadRequest:
		text = "the request can't be read as HTTP/1.1; a line break in a header's value does that, " +
			"such as base64 puts after 76 characters (base64 -w0 does not)"
	case text == "":
		text = "the request can't be read: " + http.StatusText(status)
	}
	id := svcauth.NewID(svcauth.PrefixRequest)
	body := oauth.ErrorBody(oautherr.CodeInvalidRequest, text)
	ip := ""
	if address, err := netip.ParseAddrPort(from.String()); err == nil {
		ip = address.Addr().Unmap().String()
	}
	s.cfg.Logger.Info("request", slog.String("request_id", id), slog.Int("status", status),
		slog.String("reason", notHTTP), slog.String("ip", ip))
	if s.cfg.Observer != nil {
		s.cfg.Observer.RequestAnswered(RequestStats{Status: status, Code: oautherr.CodeInvalidRequest, Reason: notHTTP})
	}
	strict := ""
	if s.strictTransport != "" {
		strict = "Strict-Transport-Security: " + s.strictTransport + "\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nCache-Control: no-store\r\n%s"+
		"X-Content-Type-Options: nosniff\r\nX-Request-Id: %s\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s",
		status, http.StatusText(status), strict, id, len(body), body)
}
