package people

import (
	"strings"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// validPersonName takes what a person is called; it may be empty.
func validPersonName(at, name string) (string, error) {
	return access.ValidText(at, "A name", name, 0, svcauth.MaxNameLength)
}

// validEmail takes one bare address, see [svcauth.ParseEmail].
func validEmail(at, email string) (string, error) {
	if err := svcauth.CheckText(strings.TrimSpace(email)); err != nil {
		return "", access.Unfit(at, err)
	}
	email, err := svcauth.ParseEmail(email)
	if err != nil {
		return "", svcauth.InvalidField(at, "Expected one e-mail address, such as ann@example.com.")
	}
	return email, nil
}
