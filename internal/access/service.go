package access

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/svcauth/svcauth/internal/audit"
	"github.com/svcauth/svcauth/internal/away"
	"github.com/svcauth/svcauth/internal/cache"
	"github.com/svcauth/svcauth/internal/keyring"
	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/refusals"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/verify"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Config is what the rules stand on.
type Config struct {
	Store   *store.Store
	Keyring *keyring.Keyring // hashes secrets; signing keys
	Cache   *cache.Cache     // records of live tokens
	Audit   *audit.Log       // takes refusals; nil: New makes one, which [Service.Run] runs
	// Refusals knows what clients were refused; nil: only the database does.
	Refusals *refusals.Log
	// Revocations is filled from the change log and tells which recorded tokens
	// have died. nil: the list shows them until they expire.
	Revocations *verify.RevocationSet

	Issuer          string        // audience of the built-in privileges
	SingleSignOn    string        // issuer of the provider that members sign in by; empty: there is none
	DefaultTokenTTL time.Duration // shown where a service account has none of its own

	Tokens   DefaultTokens      // nil: nobody looks who gets no token
	Observer RevocationObserver // nil: nobody is told

	// Patience is how long a change may look for what there is to warn of,
	// before it is made or afterwards; 0 is a tenth of a second, and two. Tests
	// give more, since their machine may not run a process for seconds.
	Patience time.Duration

	Clock  func() time.Time // default time.Now
	Logger *slog.Logger     // default: silence
}

// DefaultTokens knows what requests without scope and resource get.
type DefaultTokens interface {
	// DefaultRefused returns the accounts that get no token without scope and
	// resource, as q shows them: of an organization those that hold a role, or
	// one principal.
	DefaultRefused(
		ctx context.Context, q *store.Q, orgID, roleID, principalID string,
	) ([]svcauth.DefaultWarning, error)
}

// RevocationObserver is told of each revocation that was written. kind is
// "token", "client", "credential" or "role".
type RevocationObserver interface{ Revoked(kind string) }

// Service holds the rules. It is safe for concurrent use.
type Service struct {
	cfg      Config
	policies *limits.Rates[string] // by organization
	judging  *limits.Rates[string] // milliseconds, by organization; see judge
}

// New makes the service. Nothing is read or written yet.
func New(cfg Config) *Service {
	if cfg.Clock == nil {
		cfg.Clock = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Audit == nil {
		cfg.Audit = audit.New(audit.Config{Store: cfg.Store, Logger: cfg.Logger})
	}
	looks := int(max(1, cfg.Patience/maxJudging)) // as long as the usual ones
	return &Service{
		cfg: cfg,
		policies: limits.NewRates[string](limits.Rate{
			PerSecond: policiesPerSecond,
			Burst:     policiesAtOnce,
		}, 10_000),
		judging: limits.NewRates[string](limits.Rate{
			PerSecond: judgingPerSecond,
			Burst:     judgingAtOnce * looks,
		}, 10_000),
	}
}

func (s *Service) now() time.Time { return s.cfg.Clock().UTC().Truncate(time.Millisecond) }

// read returns queries outside a transaction.
func (s *Service) read() *store.Q { return s.cfg.Store.Read() }

// Problem turns what the store says into what a caller is told.
func Problem(err error, target svcauth.AuditTarget) error {
	var already *svcauth.Problem
	switch {
	case err == nil || errors.As(err, &already):
		return err
	case errors.Is(err, store.ErrNotFound):
		return svcauth.NewProblem(svcauth.CodeNotFound,
			"There is no %s with this id in your organization.", words(target.Kind))
	case errors.Is(err, store.ErrStale):
		return svcauth.NewProblem(svcauth.CodePreconditionFailed,
			"Somebody else changed this %s since you read it. Get it again, then repeat your "+
				"change.", words(target.Kind))
	case errors.Is(err, store.ErrUncertain):
		return fmt.Errorf("%w: %w",
			svcauth.NewProblem(svcauth.CodeInternal, "The database went away while this was being saved. Look "+
				"whether the change is there before you repeat it."),
			err)
	case errors.Is(err, store.ErrUnavailable):
		return away.Problem(away.Database, away.Unchanged, err)
	}
	return err
}

// words turns a target's kind into English.
func words(kind string) string {
	switch kind {
	case "":
		return "thing"
	case "service_account":
		return "service account"
	case "application_key":
		return "application key"
	case "signing_key":
		return "signing key"
	case "federated_credential":
		return "federated credential"
	}
	return kind
}
