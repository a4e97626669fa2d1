package app

import (
	"os"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/internal/people"
	"github.com/svcauth/svcauth/internal/verify"
)

// newAccess builds the rules of who may do what.
func (a *App) newAccess(revocations *verify.RevocationSet) *access.Service {
	return access.New(access.Config{
		Store:           a.store,
		Keyring:         a.keyring,
		Cache:           a.cache,
		Audit:           a.audit,
		Refusals:        a.refusals,
		Revocations:     revocations,
		Issuer:          a.cfg.Issuer,
		SingleSignOn:    a.cfg.OIDC.Issuer,
		DefaultTokenTTL: a.cfg.Token.TTL,
		Observer:        a.metrics,
		Tokens:          a.Token,
		Patience:        a.patience.Database,
		Clock:           a.clock,
		Logger:          a.logger,
	})
}

// newPeople builds the rules of how people prove who they are, with the list of
// refused passwords and the sender of mail if there are such.
func (a *App) newPeople() (*people.Service, error) {
	cfg := people.Config{
		Access:         a.Access,
		Store:          a.store,
		Audit:          a.audit,
		Issuer:         a.cfg.Issuer,
		PasswordWorker: a.passwordWorker,
		Clock:          a.clock,
		Logger:         a.logger,
	}
	var err error
	if cfg.Blocklist, err = blocklist(a.cfg.Passwords.BlocklistFile); err != nil {
		return nil, ofKey("passwords.blocklist_file", err)
	}
	if a.cfg.SMTP.URL != "" {
		if a.mailer, err = newMailer(a.cfg.SMTP, a.cfg.Limits.MailsPerHour, a.clock, a.logger); err != nil {
			return nil, err
		}
		cfg.Mail = a.mailer
	}
	return people.New(cfg), nil
}

// blocklist reads the passwords that are refused; none if path is empty.
func blocklist(path string) ([]string, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	defer file.Close()
	list, err := people.ReadBlocklist(file)
	if err != nil {
		return nil, cannotRead(path, err)
	}
	return list, nil
}
