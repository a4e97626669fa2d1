package access

import (
	"context"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ValidName trims a name and refuses one that is empty, too long or not fit to
// be read. at is its place in the request, such as "body.name".
func ValidName(at, name string) (string, error) {
	return ValidText(at, "A name", name, 1, svcauth.MaxNameLength)
}

// validDescription does the same for the field description of a body.
func validDescription(text string) (string, error) {
	return ValidText("body.description", "A description", text, 0, svcauth.MaxDescriptionLength)
}

// ValidText trims a text and refuses one that [svcauth.CheckText] refuses, or
// that has too few or too many characters.
func ValidText(at, what, text string, low, high int) (string, error) {
	text = strings.TrimSpace(text)
	if err := svcauth.CheckText(text); err != nil {
		return "", Unfit(at, err)
	}
	if n := utf8.RuneCountInString(text); n < low || n > high {
		return "", svcauth.InvalidField(at, "%s has %d to %d characters; this has %d.", what, low, high, n)
	}
	return text, nil
}

// Unfit says of a text why [svcauth.CheckText] refuses it.
func Unfit(at string, err error) error {
	return svcauth.InvalidField(at, "The text %s.", err)
}

// validExpiry refuses a moment that does not lie ahead.
func validExpiry(at string, t *time.Time, now time.Time) error {
	if t != nil && !t.After(now) {
		return svcauth.InvalidField(at, "The moment %s has passed; expected one that lies ahead.",
			t.UTC().Format(time.RFC3339))
	}
	return nil
}

// validTTL takes 0 for the server's default.
func validTTL(at string, seconds int) error {
	if seconds != 0 && (seconds < svcauth.MinTokenTTLSeconds || seconds > svcauth.MaxTokenTTLSeconds) {
		return svcauth.InvalidField(at,
			"A token lives %d to %d seconds; 0 means the server's default.",
			svcauth.MinTokenTTLSeconds, svcauth.MaxTokenTTLSeconds)
	}
	return nil
}

// validTokenBinding refuses what the tokens of an account can't be bound to.
func validTokenBinding(binding string) error {
	if !slices.Contains(svcauth.TokenBindings(), binding) {
		return svcauth.InvalidField("body.token_binding", "Expected one of %s.",
			strings.Join(svcauth.TokenBindings(), ", "))
	}
	return nil
}

// checkID refuses what can't be an id before it reaches the database, as what
// does not exist.
func checkID(prefix, id string) error {
	if !svcauth.ValidID(prefix, id) {
		return store.ErrNotFound
	}
	return nil
}

// MemberRow reads a member of an organization. What can't be an id is an id
// that nobody has.
func MemberRow(ctx context.Context, q *store.Q, orgID, id string) (store.MemberRow, error) {
	if err := checkID(svcauth.PrefixMember, id); err != nil {
		return store.MemberRow{}, err
	}
	return q.Member(ctx, orgID, id)
}

// validPrivileges sorts the names and refuses those that the organization can't
// have.
func (s *Service) validPrivileges(ctx context.Context, t *Tx, at string, names []string) ([]string, error) {
	if len(names) > svcauth.MaxPrivilegesPerRole {
		return nil, svcauth.InvalidField(at, "A role has at most %d privileges.", svcauth.MaxPrivilegesPerRole)
	}
	catalogue, err := t.Privileges(ctx)
	if err != nil {
		return nil, err
	}
	org, err := t.Organization(ctx, t.Actor.OrgID)
	if err != nil {
		return nil, err
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(names)))
	known := RoleGives(store.RoleAdministrator, nil, catalogue, org.Operator)
	var unknown []string
	for _, p := range sorted {
		if !slices.Contains(known, p) {
			unknown = append(unknown, p)
		}
	}
	if len(unknown) > 0 {
		return nil, svcauth.InvalidField(at,
			"Unknown privileges: %s. The catalogue, GET /v1/privileges, lists those there are.",
			strings.Join(unknown, ", "))
	}
	return sorted, nil
}
