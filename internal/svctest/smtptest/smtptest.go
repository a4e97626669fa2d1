// Package smtptest is a mail server for tests: real SMTP over real TLS.
//
// It refuses to know: what is mailed.
package smtptest

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

// Server speaks SMTP (RFC 5321), and keeps what it was sent.
type Server struct {
	Address  string
	tls      *tls.Config
	Roots    *x509.CertPool
	CAFile   string // the same in PEM
	STARTTLS bool   // offered
	Implicit bool

	mu     sync.Mutex
	refuse string

	Sent      chan string    // the mails, envelope first
	Overheard syncbuf.Buffer // what went over the wire in the clear
}

// RefuseWith makes the server answer each mail with a text such as
// "554 refused:", and quote the mail in it; "" takes them again.
func (s *Server) RefuseWith(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.refuse = text
}

func (s *Server) refusal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refuse
}

// Start makes s listen until the test ends.
func Start(t testing.TB, s *Server) *Server {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	s.Roots = x509.NewCertPool()
	s.Roots.AddCert(certificate)
	s.CAFile = filepath.Join(t.TempDir(), "smtp-ca.pem")
	require.NoError(t, os.WriteFile(s.CAFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.Sent = make(chan string, 1000)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	s.Address = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go s.serve(conn)
		}
	}()
	return s
}

func (s *Server) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := s.Implicit
	if secure {
		conn = tls.Server(conn, s.tls)
	}
	in, envelope := bufio.NewReader(conn), ""
	say := func(text string) { _, _ = io.WriteString(conn, text+"\r\n") }
	say("220 mail.example ESMTP")
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		if !secure {
			_, _ = s.Overheard.Write([]byte(line))
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			if s.STARTTLS && !secure {
				say("250-mail.example\r\n250 STARTTLS")
			} else {
				say("250-mail.example\r\n250 AUTH PLAIN")
			}
		case "STARTTLS":
			say("220 go on")
			conn, secure = tls.Server(conn, s.tls), true
			in = bufio.NewReader(conn)
		case "AUTH":
			raw, _ := base64.StdEncoding.DecodeString(strings.TrimPrefix(line, "AUTH PLAIN "))
			envelope += "auth " + strings.ReplaceAll(string(raw), "\x00", "|") + "\n"
			say("235 welcome")
		case "MAIL", "RCPT":
			envelope += line + "\n"
			say("250 fine")
		case "DATA":
			say("354 go on")
			text := readMail(in)
			if refuse := s.refusal(); refuse != "" {
				say(refuse + " " + strings.ReplaceAll(text, "\r\n", " "))
				continue
			}
			s.Sent <- envelope + "\n" + text
			say("250 fine")
		case "RSET", "NOOP":
			say("250 fine")
		case "QUIT":
			say("221 bye")
			return
		}
	}
}

// readMail reads a mail up to the line that ends it, a single dot (RFC 5321
// §4.5.2).
func readMail(in *bufio.Reader) string {
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil || line == ".\r\n" {
			return text.String()
		}
		text.WriteString(strings.TrimPrefix(line, "."))
	}
}
