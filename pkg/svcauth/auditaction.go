package svcauth

import (
	"fmt"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/internal/untrusted"
)

// auditActions is every action of the audit log.
var auditActions = []string{
	"application_key.create", "application_key.delete",
	"catalog.update",
	"certificate.create", "certificate.delete",
	"client.authenticate",
	"database.restore",
	"federated_credential.create", "federated_credential.delete", "federated_credential.update",
	"key.create", "key.delete", "key.update",
	"master_key.change",
	"member.activate", "member.assign_role", "member.delete", "member.invite", "member.recover", "member.reset",
	"member.role_expired", "member.set_password", "member.sign_in", "member.sign_out", "member.unassign_role",
	"member.update",
	"organization.bootstrap", "organization.create", "organization.delete", "organization.update",
	"role.create", "role.delete", "role.privileges_removed", "role.update",
	"secret.create", "secret.delete", "secret.update",
	"service_account.assign_role", "service_account.create", "service_account.delete",
	"service_account.revoke_tokens", "service_account.role_expired", "service_account.unassign_role",
	"service_account.update",
	"signing_key.delete", "signing_key.retire", "signing_key.revoke", "signing_key.rotate",
	"token.revoke",
}

// AuditActions returns every action that the audit log may have, sorted: words
// such as service_account.create.
func AuditActions() []string { return slices.Clone(auditActions) }

// ParseAuditActions returns the actions that a filter of the audit log means:
// one or several words with commas or spaces between. A word is an action, or
// the begin of some that ends with a dot, with or without an asterisk behind
// it: "secret." and "secret.*" are all that happens to secrets. The error names
// a word that is neither, and what may have been meant.
func ParseAuditActions(words ...string) ([]string, error) {
	var found []string
	between := func(r rune) bool { return r == ',' || r == ' ' }
	for _, word := range strings.FieldsFunc(strings.Join(words, ","), between) {
		some := actionsOf(word)
		if len(some) == 0 {
			return nil, unknownAction(word)
		}
		found = append(found, some...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

func actionsOf(word string) (found []string) {
	prefix := strings.TrimSuffix(word, "*")
	for _, action := range auditActions {
		if action == word || strings.HasSuffix(prefix, ".") && strings.HasPrefix(action, prefix) {
			found = append(found, action)
		}
	}
	return found
}

// unknownAction returns the error for a word that is no action.
func unknownAction(word string) error {
	const most = 4
	word = untrusted.Cut(untrusted.Line(untrusted.RedactSecrets(word)), 64)
	near := slices.DeleteFunc(AuditActions(), func(action string) bool { return !nearAction(word, action) })
	slices.SortStableFunc(near, func(a, b string) int {
		return untrusted.Distance(word, a) - untrusted.Distance(word, b)
	})
	if len(near) == 0 {
		var nouns []string
		for _, action := range auditActions {
			noun, _, _ := strings.Cut(action, ".")
			nouns = append(nouns, noun+".*")
		}
		return fmt.Errorf("there is no action %q; expected one such as service_account.create, or all of a noun: %s",
			word, strings.Join(slices.Compact(nouns), ", "))
	}
	return fmt.Errorf("there is no action %q; did you mean %s?", word,
		strings.Join(near[:min(most, len(near))], " or "))
}

// nearAction reports whether a word is written as the action nearly is, or is
// its noun, its verb or a part of them.
func nearAction(word, action string) bool {
	word = strings.ToLower(strings.Trim(word, ".*"))
	if word == "" {
		return false
	}
	if untrusted.Distance(word, action) <= min(3, len(word)/3) {
		return true
	}
	return strings.Contains(action, word) || strings.Contains(action, strings.ReplaceAll(word, "-", "_")) ||
		len(word) > 3 && nearPart(word, action)
}

// nearPart reports whether the noun and the verb of a word are nearly those of
// the action, or only one was given and it is.
func nearPart(word, action string) bool {
	for _, part := range strings.Split(word, ".") {
		if !slices.ContainsFunc(strings.Split(action, "."), func(of string) bool {
			return untrusted.Distance(part, of) <= len(part)/3
		}) {
			return false
		}
	}
	return true
}
