package app

import (
	"fmt"
	"os"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/resourceserver"
)

// newAccess builds the rules, with the list of refused passwords and the sender of mail where there are such.
func (a *App) newAccess(revocations *resourceserver.RevocationSet) (*access.Service, error) {
	cfg := access.Config{Store: a.store, Keyring: a.keyring, Cache: a.cache, Audit: a.audit, Revocations: revocations, Issuer: a.cfg.Issuer, DefaultTokenTTL: a.cfg.Token.TTL,
		AuditRetention: a.cfg.Audit.Retention, OnRevoke: a.metrics.Revoked, Oversized: a.Token.Oversized, Clock: a.clock, Logger: a.logger}
	if path := a.cfg.Passwords.BlocklistFile; path != "" {
		file, err := os.Open(path)
		if err != nil {
			return nil, fmt.Errorf("read passwords.blocklist_file: %w", err)
		}
		defer file.Close()
		if cfg.Blocklist, err = access.ReadBlocklist(file); err != nil {
			return nil, fmt.Errorf("read passwords.blocklist_file: %w", err)
		}
	}
	if a.cfg.SMTP.URL != "" {
		var err error
		if a.mailer, err = newMailer(a.cfg.SMTP, a.cfg.Limits.MailsPerHour, a.clock, a.logger); err != nil {
			return nil, err
		}
		cfg.Mail = a.mailer
	}
	return access.New(cfg), nil
}
