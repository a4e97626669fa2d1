package store

import (
	"strings"
	"unique"
)

// shareTexts keeps once what many clients have in common: the collector looks
// at each text of each client that is in memory.
func (c *Credentials) shareTexts() {
	for _, text := range []*string{
		&c.Kind, &c.OrgID, &c.TokenBinding, &c.DefaultResource, &c.SharedSecrets, &c.ApplicationKeys,
	} {
		*text = unique.Make(*text).Value()
	}
	for i, g := range c.Grants {
		c.Grants[i].RoleID = unique.Make(g.RoleID).Value()
	}
}

// packed returns the client with all that it has for itself in two pieces of
// memory, as far as that is what most clients have: the collector follows each
// pointer of each client that is in memory.
func (c *Credentials) packed() *Credentials {
	size := 0
	for text := range c.ownTexts {
		size += len(*text)
	}
	var texts strings.Builder
	texts.Grow(size)
	for text := range c.ownTexts {
		texts.WriteString(*text)
	}
	rest := texts.String()
	for text := range c.ownTexts {
		*text, rest = rest[:len(*text)], rest[len(*text):]
	}
	p := struct {
		Credentials
		secret [1]StoredCredential
		grant  [1]HeldGrant
		used   [1]CredentialUse
	}{Credentials: *c}
	p.Secrets = append(p.secret[:0], c.Secrets...)
	p.Grants = append(p.grant[:0], c.Grants...)
	p.Used = append(p.used[:0], c.Used...)
	return &p.Credentials
}

// ownTexts are those that [Credentials.shareTexts] leaves.
func (c *Credentials) ownTexts(yield func(*string) bool) {
	for _, text := range []*string{&c.ClientID, &c.MemberID, &c.Name, &c.Claims} {
		if !yield(text) {
			return
		}
	}
	for _, kind := range [][]StoredCredential{c.Secrets, c.Keys, c.Federated, c.Certificates} {
		for i := range kind {
			if !yield(&kind[i].ID) || !yield(&kind[i].Material) {
				return
			}
		}
	}
	for i := range c.Used {
		if !yield(&c.Used[i].CredentialID) {
			return
		}
	}
}
