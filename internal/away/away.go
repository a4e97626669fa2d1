// Package away owns how it is said that something the server depends on is not
// available: the same words in an error of OAuth2, a problem of /v1, a page of
// the console, the command line and the log.
//
// It refuses to know: why something is not available, and what is done about
// it.
package away

import (
	"fmt"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// What may be away, each as half a sentence. It also holds for what answers and
// refuses its work, such as a database whose disk is full.
const (
	Database   = "the database is not available"
	Redis      = "Redis is not available"
	Records    = "the records of live tokens are not available" // Redis, as a tenant knows it
	MailServer = "the mail server is not available"
	Provider   = "the provider of single sign-on is not available"
)

// The ends of outages, for the log.
const (
	DatabaseBack = "the database is available again"
	RedisBack    = "Redis is available again"
)

// Unchanged tells the caller of a failed call what to do.
const Unchanged = "Nothing was changed; try again in a moment."

// Sentence returns one of the constants as a whole sentence, with what to do.
func Sentence(what, then string) string {
	return strings.ToUpper(what[:1]) + what[1:] + ". " + then
}

// Problem returns the problem of a call that failed because something is away,
// and nil if cause is nil. then says what to do, such as [Unchanged]. The log
// has the cause.
func Problem(what, then string, cause error) error {
	if cause == nil {
		return nil
	}
	return fmt.Errorf("%w: %w", svcauth.NewProblem(svcauth.CodeUnavailable, "%s", Sentence(what, then)), cause)
}
