package app

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"io"
	"log/slog"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/config"
)

const oneTimeLink = "http://localhost:8080/console/invitation?token=c2VjcmV0"

// mailServer speaks SMTP (RFC 5321) to one client at a time, and keeps what it was sent.
type mailServer struct {
	address  string
	tls      *tls.Config
	roots    *x509.CertPool
	starttls bool // offered
	implicit bool
	refuse   string // the answer to the mail itself; empty: 250

	sent      chan string  // the mails, envelope first
	overheard bytes.Buffer // what went over the wire in the clear
}

func startMailServer(t *testing.T, s *mailServer) *mailServer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	require.NoError(t, err)
	certificate, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	s.roots = x509.NewCertPool()
	s.roots.AddCert(certificate)
	s.tls = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	s.sent = make(chan string, 10)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	s.address = listener.Addr().String()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serve(conn)
		}
	}()
	return s
}

func (s *mailServer) serve(conn net.Conn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	secure := s.implicit
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
			s.overheard.WriteString(line)
		}
		line = strings.TrimRight(line, "\r\n")
		switch verb, _, _ := strings.Cut(line, " "); strings.ToUpper(verb) {
		case "EHLO":
			if s.starttls && !secure {
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
			var text strings.Builder
			for {
				l, err := in.ReadString('\n')
				if err != nil || l == ".\r\n" {
					break
				}
				text.WriteString(strings.TrimPrefix(l, "."))
			}
			if s.refuse != "" {
				say(s.refuse + " " + oneTimeLink)
				continue
			}
			s.sent <- envelope + "\n" + text.String()
			say("250 fine")
		case "QUIT":
			say("221 bye")
			return
		}
	}
}

func (s *mailServer) mailer(t *testing.T, scheme string, log io.Writer) *mailer {
	t.Helper()
	u := url.URL{Scheme: scheme, User: url.UserPassword("robot", "p@ss/word"), Host: s.address}
	m, err := newMailer(config.SMTP{URL: config.URL(u.String()), From: "svcauth <no-reply@auth.example>"}, time.Now, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	m.tls.RootCAs = s.roots
	return m
}

func TestMailIsSentOverTLSOnly(t *testing.T) {
	for scheme, server := range map[string]*mailServer{"smtp": {starttls: true}, "smtps": {implicit: true}} {
		t.Run(scheme, func(t *testing.T) {
			s := startMailServer(t, server)
			m := s.mailer(t, scheme, io.Discard)
			subject := "Invitation to Ünïversity\r\nBcc: all@example.com"
			require.NoError(t, m.send(t.Context(), letter{"ann@example.com", subject, "Hello,\n\n" + oneTimeLink + "\n\n.\nEnd"}))
			envelope, text, _ := strings.Cut(<-s.sent, "\n\n")
			require.Equal(t, "auth |robot|p@ss/word\nMAIL FROM:<no-reply@auth.example>\nRCPT TO:<ann@example.com>", envelope)
			got, err := mail.ReadMessage(strings.NewReader(text))
			require.NoError(t, err)
			require.Empty(t, got.Header.Get("Bcc"), "no text becomes a header")
			decoded, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			require.NoError(t, err)
			require.Equal(t, subject, decoded)
			require.Equal(t, `"svcauth" <no-reply@auth.example>`, got.Header.Get("From"))
			body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
			require.NoError(t, err)
			require.Contains(t, strings.ReplaceAll(string(body), "\r\n", "\n"), oneTimeLink+"\n\n.\nEnd")
			require.NotContains(t, s.overheard.String(), "RCPT")
		})
	}
}

func TestMailIsNotSentInTheClearOrToStrangers(t *testing.T) {
	s := startMailServer(t, &mailServer{})
	require.ErrorContains(t, s.mailer(t, "smtp", io.Discard).send(t.Context(), letter{"ann@example.com", "s", oneTimeLink}), "STARTTLS")
	s = startMailServer(t, &mailServer{starttls: true})
	m := s.mailer(t, "smtp", io.Discard)
	m.tls.RootCAs = x509.NewCertPool() // nobody vouches for it
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, m.send(t.Context(), letter{"ann@example.com", "s", oneTimeLink}), &unknown)
	for _, to := range []string{"ann@example.com\r\nRCPT TO:<all@example.com>", "", "a, b@example.com"} {
		require.Error(t, m.send(t.Context(), letter{to, "s", oneTimeLink}))
	}
	require.Empty(t, s.sent)
}

// The caller never waits, never fails, and no log line holds the link, even where the server quotes it.
func TestMailFailureIsLoggedWithoutTheLink(t *testing.T) {
	s := startMailServer(t, &mailServer{starttls: true, refuse: "554 refused:"})
	var log bytes.Buffer
	m := s.mailer(t, "smtp", &log)
	for range maxMails + 1 {
		m.Send(t.Context(), "ann@example.com", "s", oneTimeLink)
	}
	require.Contains(t, log.String(), "too many are waiting")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	require.Eventually(t, func() bool { return len(m.queue) < maxMails-1 }, 20*time.Second, 10*time.Millisecond)
	cancel()
	require.NoError(t, <-done)
	require.Contains(t, log.String(), "refused with code 554")
	require.NotContains(t, log.String(), "token=")
	require.NotContains(t, log.String(), "p@ss")
}
