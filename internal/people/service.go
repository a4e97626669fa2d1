// Package people owns how a person proves who they are: members, invitations
// and the links and mails that bring them, passwords, sign-in, the end of
// sessions, and whom single sign-on lets in.
//
// What a person may do then is [access]'s: each change here is one of access's
// ([access.Service.Change]), with its check of the caller, its audit event and
// its entries of the change log. Methods that say so need no caller.
//
// It refuses to know: HTTP, cookies, HTML, and how a provider of single sign-on
// is asked.
package people

import (
	"log/slog"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
)

// Config is what the rules stand on.
type Config struct {
	Access *access.Service
	Store  *store.Store
	Audit  *audit.Log // takes refusals

	Issuer    string   // base of links
	Blocklist []string // passwords nobody may choose, on top of the built-in ones; see [ReadBlocklist]

	// Mail sends invitations and links to set a password. If it is nil, nobody
	// is written to.
	Mail Mailer

	// PasswordWorker is the command that hashes passwords, apart from this
	// process; see [passwords.New]. Empty: this process hashes.
	PasswordWorker []string

	Clock  func() time.Time // default time.Now
	Logger *slog.Logger     // default: silence
}

// Service holds the rules. It is safe for concurrent use.
type Service struct {
	cfg         Config
	access      *access.Service
	hashing     hashing
	attempts    *attempts
	wrongAnswer time.Duration // see wrongAnswerAfter
	refused     *limits.Shares[struct{}]
	blocked     map[string]bool
}

// New makes the service. Nothing is read or written yet.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &Service{
		cfg:         cfg,
		access:      cfg.Access,
		hashing:     newHashing(cfg.PasswordWorker, cfg.Logger),
		attempts:    newAttempts(),
		wrongAnswer: wrongAnswerAfter,
		refused:     limits.NewShares[struct{}](limits.Bound{Total: maxRefused}),
		blocked:     make(map[string]bool, len(cfg.Blocklist)),
	}
	for _, password := range cfg.Blocklist {
		s.blocked[strings.ToLower(password)] = true
	}
	return s
}

// Close ends the processes that hash passwords. It returns no error.
func (s *Service) Close() error { return s.hashing.hasher.Close() }

func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Millisecond) }

// read returns queries outside a transaction.
func (s *Service) read() *store.Q { return s.cfg.Store.Read() }
