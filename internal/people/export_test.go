package people

import (
	"log/slog"
	"time"

	"github.com/svcauth/svcauth/internal/passwords"
)

// HashBy has a command hash passwords, within a limit.
func (s *Service) HashBy(command []string, limit time.Duration) {
	s.hashing.hasher = passwords.New(command, maxHashes(), limit, slog.New(slog.DiscardHandler))
}

// AnswerAtOnce lets wrong passwords be answered at once, for tests that send
// many.
func (s *Service) AnswerAtOnce() { s.wrongAnswer = 0 }
