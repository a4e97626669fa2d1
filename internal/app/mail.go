package app

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/wneessen/go-mail"

	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/config"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/people"
)

const (
	mailTimeout = 30 * time.Second // of sending one
	mailSenders = 4                // how many are sent at once

	// An organization may send a mail to one address so often an hour.
	mailsPerAddressAndHour = 5
	mailKeysRemembered     = 10_000
)

// mailsWaiting bounds the mails that wait, of all organizations and of one.
var mailsWaiting = limits.Bound{Total: 1000, Each: 100, Reserved: 200}

// mailer sends mail through the configured server, and only over TLS. Each
// organization has a queue of its own, and they take turns.
type mailer struct {
	options []mail.Option
	tls     *tls.Config
	name    string // of the server
	from    string
	byOrg   *limits.Rates[string]
	byTo    *limits.Rates[[2]string]
	waiting *limits.Shares[string]
	clock   func() time.Time
	logger  *slog.Logger

	mu     sync.Mutex
	queues map[string][]queuedLetter // by organization; none is empty
	turns  []string                  // its keys, in the order in which they are served
	ready  chan struct{}             // holds one for each letter in a queue
}

type queuedLetter struct {
	people.Letter
	since time.Time
}

// newMailer takes the configuration as config has checked it. perHour is how
// many mails an organization may send an hour.
func newMailer(cfg config.SMTP, perHour int, clock func() time.Time, logger *slog.Logger) (*mailer, error) {
	u, options, urlErr := mailServer(cfg.URL.Reveal())
	trust, _, caErr := clientTLS("smtp", cfg.CAFile, "", "")
	if err := errors.Join(ofKey("smtp.url", urlErr), ofKey("smtp.from", mailSender(cfg.From)), caErr); err != nil {
		return nil, err
	}
	if trust == nil {
		trust = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	trust.ServerName = u.Hostname()
	hourly := func(n int) limits.Rate {
		return limits.Rate{PerSecond: float64(n) / time.Hour.Seconds(), Burst: n}
	}
	return &mailer{
		options: append(options, mail.WithTLSConfig(trust)),
		tls:     trust,
		name:    u.Hostname(),
		from:    cfg.From,
		byOrg:   limits.NewRates[string](hourly(perHour), mailKeysRemembered),
		byTo:    limits.NewRates[[2]string](hourly(mailsPerAddressAndHour), mailKeysRemembered),
		waiting: limits.NewShares[string](mailsWaiting),
		clock:   clock,
		logger:  logger,
		queues:  map[string][]queuedLetter{},
		ready:   make(chan struct{}, mailsWaiting.Total),
	}, nil
}

// mailServer reads smtp.url. It returns the server, and how to reach it so that
// nobody can listen (RFC 8314 §3). Its errors never quote the URL, which may
// hold a password.
func mailServer(raw string) (*url.URL, []mail.Option, error) {
	const expected = "expected smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST:465, " +
		"and / ? # @ % in a password as %2F %3F %23 %40 %25"
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" {
		return nil, nil, errors.New("can't be read; " + expected)
	}
	options := []mail.Option{mail.WithTimeout(mailTimeout)}
	port := uint64(587)
	switch u.Scheme {
	case "smtps":
		port = 465
		options = append(options, mail.WithSSL())
	case "smtp":
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	default:
		return nil, nil, errors.New("has a scheme that is not known; expected smtp:// or smtps://")
	}
	if u.Path != "" && u.Path != "/" || strings.ContainsAny(raw, "?#") {
		return nil, nil, errors.New("has something after its host; " + expected)
	}
	if text := u.Port(); text != "" {
		if port, err = strconv.ParseUint(text, 10, 16); err != nil || port == 0 {
			return nil, nil, errors.New("names a port that is not a number from 1 to 65535")
		}
	}
	options = append(options, mail.WithPort(int(port)))
	if user := u.User.Username(); user != "" {
		password, _ := u.User.Password()
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover),
			mail.WithUsername(user), mail.WithPassword(password))
	}
	if _, err := mail.NewClient(u.Hostname(), options...); err != nil {
		return nil, nil, errors.New("can't be used; " + expected)
	}
	return u, options, nil
}

func mailSender(from string) error {
	if err := mail.NewMsg().From(from); err != nil {
		return errors.New("is not a mail address; expected one such as svcauth <no-reply@example.com>")
	}
	return nil
}

// Admit counts a mail of an organization to an address and returns 0, or counts
// nothing and returns how long to wait with it.
func (m *mailer) Admit(orgID, to string) time.Duration {
	return limits.AllowBoth(m.byTo, [2]string{orgID, to}, m.byOrg, orgID, m.clock())
}

// Send queues a mail and returns at once.
func (m *mailer) Send(l people.Letter) {
	if !m.waiting.Take(l.OrgID, 1, l.Operator) {
		m.done(l, "too many mails are waiting to be sent. Send it again in a few minutes.", nil)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.queues[l.OrgID] == nil {
		m.turns = append(m.turns, l.OrgID)
	}
	m.queues[l.OrgID] = append(m.queues[l.OrgID], queuedLetter{l, m.clock()})
	m.ready <- struct{}{} // never full: waiting has counted it
}

// next takes the letter whose turn it is. There is one, because the caller has
// taken its mark from ready.
func (m *mailer) next() queuedLetter {
	m.mu.Lock()
	defer m.mu.Unlock()
	org := m.turns[0]
	queue := m.queues[org]
	m.turns = m.turns[1:]
	if len(queue) == 1 {
		delete(m.queues, org)
	} else {
		m.queues[org] = queue[1:]
		m.turns = append(m.turns, org)
	}
	m.waiting.Give(org, 1)
	return queue[0]
}

// Run sends what is queued until ctx is done. It then tells the senders of what
// is left that it was not sent.
func (m *mailer) Run(ctx context.Context) error {
	var senders sync.WaitGroup
	for range mailSenders {
		senders.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-m.ready:
					m.deliver(ctx, m.next())
				}
			}
		})
	}
	senders.Wait()
	for {
		select {
		case <-m.ready:
			m.done(m.next().Letter, "the server stopped before it was sent. Send it again.", nil)
		default:
			return nil
		}
	}
}

func (m *mailer) deliver(ctx context.Context, l queuedLetter) {
	if m.clock().Sub(l.since) > people.MailWait {
		m.done(l.Letter,
			"the mail server took too long with the mails before it. Send it again in a few minutes.", nil)
		return
	}
	err := m.send(ctx, l.Letter)
	m.done(l.Letter, mailProblem(err), err)
}

// done says what became of a mail: in the log what the operator needs, to its
// sender what people understand.
func (m *mailer) done(l people.Letter, problem string, err error) {
	if problem == "" {
		m.logger.Info("a mail was sent", "to", l.To, "org_id", l.OrgID)
		l.Result("")
		return
	}
	reason := problem
	if err != nil {
		reason = mailError(err)
	}
	m.logger.Warn("a mail was not sent", "to", l.To, "org_id", l.OrgID, "server", m.name, "error", reason)
	l.Result("It was not sent: " + problem)
}

func (m *mailer) send(ctx context.Context, l people.Letter) error {
	client, err := mail.NewClient(m.name, m.options...)
	if err != nil {
		return err
	}
	msg := mail.NewMsg(mail.WithNoDefaultUserAgent())
	if err := errors.Join(msg.From(m.from), msg.To(l.To)); err != nil {
		return errors.New("sender or recipient is not a mail address")
	}
	msg.Subject(l.Subject)
	msg.SetDateWithValue(m.clock())
	msg.SetMessageID()
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834 §5
	msg.SetBodyString(mail.TypeTextPlain, l.Text)
	ctx, cancel := context.WithTimeout(ctx, mailTimeout)
	defer cancel()
	if err := client.DialAndSendWithContext(ctx, msg); err != nil && !msg.IsDelivered() {
		return err
	}
	return nil
}

// mailProblem returns in words for people why a mail was not sent, or "" if it
// was.
func mailProblem(err error) string {
	var refused *mail.SendError
	switch {
	case err == nil:
		return ""
	case !errors.As(err, &refused) || refused.ErrorCode() == 0:
		return away.MailServer + ". The operator of this server finds the reason in its log."
	case refused.IsTemp():
		return fmt.Sprintf("the mail server does not take it for now (code %d). Send it again later.",
			refused.ErrorCode())
	case refused.Reason == mail.ErrSMTPRcptTo:
		return fmt.Sprintf("the mail server refused the address (code %d). Check it.", refused.ErrorCode())
	}
	return fmt.Sprintf("the mail server refused it (code %d). The operator of this server can find out why.",
		refused.ErrorCode())
}

// mailError returns the text of an error without anything that the mail held,
// which the server may quote.
func mailError(err error) string {
	var refused *mail.SendError
	if errors.As(err, &refused) {
		return fmt.Sprintf("the mail server refused with code %d (%s)", refused.ErrorCode(), refused.Reason)
	}
	var reply *textproto.Error
	if errors.As(err, &reply) {
		return fmt.Sprintf("the mail server refused with code %d", reply.Code)
	}
	return err.Error()
}
