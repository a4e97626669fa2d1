package app

import (
	"context"
	"crypto/x509"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/internal/svctest/smtptest"
	"github.com/svcauth/svcauth/internal/svctest/syncbuf"
)

const oneTimeLink = "http://localhost:8080/console/invitation?token=c2VjcmV0"

// mailerTo is a mailer that trusts the server.
func mailerTo(t *testing.T, s *smtptest.Server, scheme string, log io.Writer) *mailer {
	t.Helper()
	u := url.URL{Scheme: scheme, User: url.UserPassword("robot", "p@ss/word"), Host: s.Address}
	m, err := newMailer(config.SMTP{URL: config.URL(u.String()), From: "svcauth <no-reply@auth.example>"}, 1000,
		time.Now, slog.New(slog.NewTextHandler(log, nil)))
	require.NoError(t, err)
	m.tls.RootCAs = s.Roots
	return m
}

func TestMailIsSentOverTLSOnly(t *testing.T) {
	for scheme, server := range map[string]*smtptest.Server{"smtp": {STARTTLS: true}, "smtps": {Implicit: true}} {
		t.Run(scheme, func(t *testing.T) {
			s := smtptest.Start(t, server)
			m := mailerTo(t, s, scheme, io.Discard)
			subject := "Invitation to Ünïversity\r\nBcc: all@example.com"
			require.NoError(t, m.send(t.Context(),
				people.Letter{To: "ann@example.com", Subject: subject, Text: "Hello,\n\n" + oneTimeLink +
					"\n\n.\nEnd"}))
			envelope, text, _ := strings.Cut(<-s.Sent, "\n\n")
			require.Equal(t, "auth |robot|p@ss/word\nMAIL FROM:<no-reply@auth.example>\nRCPT TO:<ann@example.com>",
				envelope)
			got, err := mail.ReadMessage(strings.NewReader(text))
			require.NoError(t, err)
			require.Empty(t, got.Header.Get("Bcc"), "no text becomes a header")
			decoded, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			require.NoError(t, err)
			require.Equal(t, subject, decoded)
			require.Equal(t, `"svcauth" <no-reply@auth.example>`, got.Header.Get("From"))
			require.Equal(t, "auto-generated", got.Header.Get("Auto-Submitted"))
			body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
			require.NoError(t, err)
			require.Contains(t, strings.ReplaceAll(string(body), "\r\n", "\n"), oneTimeLink+"\n\n.\nEnd")
			require.NotContains(t, s.Overheard.String(), "RCPT")
		})
	}
}

func TestMailIsNotSentInTheClearOrToStrangers(t *testing.T) {
	letter := people.Letter{To: "ann@example.com", Subject: "s", Text: oneTimeLink}
	s := smtptest.Start(t, &smtptest.Server{})
	require.ErrorContains(t, mailerTo(t, s, "smtp", io.Discard).send(t.Context(), letter), "STARTTLS")
	s = smtptest.Start(t, &smtptest.Server{STARTTLS: true})
	m := mailerTo(t, s, "smtp", io.Discard)
	m.tls.RootCAs = x509.NewCertPool() // nobody vouches for it
	var unknown x509.UnknownAuthorityError
	require.ErrorAs(t, m.send(t.Context(), letter), &unknown)
	for _, to := range []string{"ann@example.com\r\nRCPT TO:<all@example.com>", "", "a, b@example.com"} {
		letter.To = to
		require.Error(t, m.send(t.Context(), letter))
	}
	require.Empty(t, s.Sent)
}

// The caller never waits, never fails, hears in plain words what became of
// each mail, and no log line holds the link, even if the server quotes it.
func TestMailFailureIsToldWithoutTheLink(t *testing.T) {
	s := smtptest.Start(t, &smtptest.Server{STARTTLS: true})
	s.RefuseWith("554 refused:")
	var log syncbuf.Buffer
	m := mailerTo(t, s, "smtp", &log)
	told := make(chan string, 2*mailsWaiting.Each)
	letter := people.Letter{OrgID: "org_a", To: "ann@example.com", Subject: "s", Text: oneTimeLink,
		Result: func(problem string) { told <- problem }}
	for range mailsWaiting.Each + 1 {
		m.Send(letter)
	}
	require.Contains(t, <-told, "too many mails are waiting")
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- m.Run(ctx) }()
	require.Contains(t, <-told, "refused it (code 554)")
	cancel()
	require.NoError(t, <-done)
	stopped := 0
	for range mailsWaiting.Each - 1 {
		if problem := <-told; strings.Contains(problem, "the server stopped") {
			stopped++
		} else {
			require.NotContains(t, problem, "token=")
		}
	}
	require.Positive(t, stopped, "of each that was left it is said that it was not sent")
	require.Zero(t, m.waiting.Used())
	require.Contains(t, log.String(), "refused with code 554")
	require.NotContains(t, log.String(), "token=")
	require.NotContains(t, log.String(), "p@ss")
}

func TestMailServerThatIsNotThere(t *testing.T) {
	s := &smtptest.Server{Address: freeport.Address(t)}
	problem := mailProblem(mailerTo(t, s, "smtp", io.Discard).send(t.Context(), people.Letter{To: "ann@example.com"}))
	require.Contains(t, problem, away.MailServer)
	require.NotContains(t, problem, s.Address, "no organization learns where the operator's mail server is")
}

// TestMailsOfOrganizationsTakeTurns: who has many mails waiting lets the
// others wait for one, and fills no more than its own queue.
func TestMailsOfOrganizationsTakeTurns(t *testing.T) {
	m := mailerTo(t, &smtptest.Server{Address: "127.0.0.1:1"}, "smtp", io.Discard)
	refused := map[string]int{}
	send := func(org string, n int, operator bool) {
		for range n {
			m.Send(people.Letter{OrgID: org, Operator: operator, To: "ann@example.com",
				Result: func(string) { refused[org]++ }})
		}
	}
	send("org_busy", mailsWaiting.Each+50, false)
	send("org_b", 1, false)
	send("org_c", 2, false)
	require.Equal(t, map[string]int{"org_busy": 50}, refused)
	var order []string
	for range 6 {
		<-m.ready
		order = append(order, m.next().OrgID)
	}
	require.Equal(t, []string{"org_busy", "org_b", "org_c", "org_busy", "org_c", "org_busy"}, order)
	for i := range mailsWaiting.Total / mailsWaiting.Each {
		send("org_"+strconv.Itoa(i), mailsWaiting.Each, false)
	}
	send("org_operator", mailsWaiting.Each, true)
	require.Zero(t, refused["org_operator"], "a part is kept for the operator")
}

func TestMailsOfAnOrganizationAreBounded(t *testing.T) {
	now := time.Unix(0, 0)
	m, err := newMailer(config.SMTP{URL: "smtp://mail.example", From: "a@b.example"}, 10,
		func() time.Time { return now }, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	for i := range mailsPerAddressAndHour {
		require.Zero(t, m.Admit("org_a", "ann@example.com"), i)
	}
	require.Equal(t, 12*time.Minute, m.Admit("org_a", "ann@example.com"), "to one address")
	require.Zero(t, m.Admit("org_b", "ann@example.com"), "another organization's are its own")
	for i := range 10 - mailsPerAddressAndHour {
		require.Zero(t, m.Admit("org_a", strconv.Itoa(i)+"@example.com"))
	}
	for range 2 * mailsPerAddressAndHour {
		require.Equal(t, 6*time.Minute, m.Admit("org_a", "last@example.com"), "what is refused is counted nowhere")
	}
	now = now.Add(6 * time.Minute)
	require.Zero(t, m.Admit("org_a", "last@example.com"))
}
