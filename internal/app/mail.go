package app

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"net/textproto"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/config"
)

// How many mails may wait, and how long sending one may take.
const (
	maxMails    = 100
	mailTimeout = 30 * time.Second
)

// mailer sends mail through the configured server, one after another, and only over TLS. What can't be sent is logged and forgotten: the link that it held is in
// the answer to whoever asked for it.
type mailer struct {
	host, address string
	implicitTLS   bool // smtps: TLS from the first byte; else STARTTLS, without which nothing is sent
	auth          smtp.Auth
	from          *mail.Address
	tls           *tls.Config
	queue         chan letter
	clock         func() time.Time
	logger        *slog.Logger
}

type letter struct{ to, subject, text string }

// newMailer takes the configuration as config has checked it.
func newMailer(cfg config.SMTP, clock func() time.Time, logger *slog.Logger) (*mailer, error) {
	u, err := url.Parse(cfg.URL.Reveal())
	if err != nil {
		return nil, errors.New("smtp.url can't be read; expected one such as smtp://USER:PASSWORD@HOST:587")
	}
	from, err := mail.ParseAddress(cfg.From)
	if err != nil {
		return nil, fmt.Errorf("smtp.from is not a mail address: %w", err)
	}
	m := &mailer{host: u.Hostname(), implicitTLS: u.Scheme == "smtps", from: from, queue: make(chan letter, maxMails), clock: clock, logger: logger}
	port := u.Port()
	switch {
	case port == "" && m.implicitTLS:
		port = "465"
	case port == "":
		port = "587"
	}
	m.address = net.JoinHostPort(m.host, port)
	m.tls = &tls.Config{ServerName: m.host, MinVersion: tls.VersionTLS12}
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		m.auth = smtp.PlainAuth("", user, password, m.host)
	}
	return m, nil
}

// Send queues a mail and returns at once.
func (m *mailer) Send(_ context.Context, to, subject, text string) {
	select {
	case m.queue <- letter{to, subject, text}:
	default:
		m.logger.Warn("a mail was not sent: too many are waiting", "to", to)
	}
}

// Run sends what is queued until ctx is done.
func (m *mailer) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case l := <-m.queue:
			if err := m.send(ctx, l); err != nil {
				m.logger.Warn("a mail was not sent", "to", l.to, "server", m.address, "error", mailError(err))
			} else {
				m.logger.Info("a mail was sent", "to", l.to)
			}
		}
	}
}

// mailError is an error without anything that the mail held, should the server quote it.
func mailError(err error) string {
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return fmt.Sprintf("the mail server refused with code %d", reply.Code)
	}
	return err.Error()
}

func (m *mailer) send(ctx context.Context, l letter) error {
	to, err := mail.ParseAddress(l.to)
	if err != nil {
		return fmt.Errorf("read the address: %w", err)
	}
	text, err := m.message(to, l.subject, l.text)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", m.address)
	if err != nil {
		return fmt.Errorf("reach the mail server: %w", err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(mailTimeout))
	client, err := m.greet(conn)
	if err != nil {
		return err
	}
	if m.auth != nil {
		if err := client.Auth(m.auth); err != nil {
			return fmt.Errorf("authenticate: %w", err)
		}
	}
	if err := client.Mail(m.from.Address); err != nil {
		return fmt.Errorf("name the sender: %w", err)
	}
	if err := client.Rcpt(to.Address); err != nil {
		return fmt.Errorf("name the recipient: %w", err)
	}
	body, err := client.Data()
	if err != nil {
		return fmt.Errorf("begin the mail: %w", err)
	}
	if _, err := body.Write(text); err != nil {
		return fmt.Errorf("write the mail: %w", err)
	}
	if err := body.Close(); err != nil {
		return fmt.Errorf("end the mail: %w", err)
	}
	_ = client.Quit() // the mail is accepted, whatever it says now
	return nil
}

// greet begins a session that nobody can listen to (RFC 8314 §3).
func (m *mailer) greet(conn net.Conn) (*smtp.Client, error) {
	if m.implicitTLS {
		conn = tls.Client(conn, m.tls)
	}
	client, err := smtp.NewClient(conn, m.host)
	if err != nil {
		return nil, fmt.Errorf("greet the mail server: %w", err)
	}
	if m.implicitTLS {
		return client, nil
	}
	if ok, _ := client.Extension("STARTTLS"); !ok {
		return nil, errors.New("the mail server offers no STARTTLS: nothing is sent in the clear; use smtps:// or another port")
	}
	if err := client.StartTLS(m.tls); err != nil {
		return nil, fmt.Errorf("begin TLS with the mail server: %w", err)
	}
	return client, nil
}

// message writes a mail (RFC 5322). Each header is encoded, so that no text can become another header.
func (m *mailer) message(to *mail.Address, subject, text string) ([]byte, error) {
	_, domain, _ := strings.Cut(m.from.Address, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", m.from.String()}, {"To", to.String()}, {"Subject", mime.QEncoding.Encode("utf-8", subject)}, {"Date", m.clock().UTC().Format(time.RFC1123Z)},
		{"Message-ID", "<" + rand.Text() + "@" + domain + ">"}, {"Auto-Submitted", "auto-generated"}, {"MIME-Version", "1.0"},
		{"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	if _, err := body.Write([]byte(text)); err != nil {
		return nil, fmt.Errorf("encode the mail: %w", err)
	}
	err := body.Close()
	return b.Bytes(), err
}
