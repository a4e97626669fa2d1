package access

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/federation"
	"github.com/svcauth/svcauth/internal/jwk"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Keys lists a service account's public keys, newest first, all on one page. It
// needs members:read.
func (s *Service) Keys(ctx context.Context, id string) (list svcauth.List[svcauth.Key], err error) {
	rows, err := s.credentials(ctx, id, keyKind)
	list.Items = []svcauth.Key{}
	for _, row := range rows {
		list.Items = append(list.Items, keyOf(row))
	}
	return list, err
}

// Key reads one of a service account's public keys. It needs members:read.
func (s *Service) Key(ctx context.Context, id, keyID string) (svcauth.Key, error) {
	row, err := s.credential(ctx, id, keyKind, keyID)
	if err != nil {
		return svcauth.Key{}, err
	}
	return keyOf(row), nil
}

// CreateKey adds a public key to a service account, or the address at which the
// client publishes its keys; nothing is fetched from there yet. The caller must
// hold every privilege that the account holds. It refuses a private key and
// what an account has already.
func (s *Service) CreateKey(ctx context.Context, id string, n svcauth.NewKey) (svcauth.Key, error) {
	if _, err := Caller(ctx, svcauth.MembersManage); err != nil {
		return svcauth.Key{}, err
	}
	material, hint, err := s.readKey(n)
	if err != nil {
		return svcauth.Key{}, err
	}
	row, err := s.createCredential(ctx, id, keyKind, store.CredentialRow{
		Material: material.Encode(), Hint: hint, Description: n.Description, ExpiresAt: n.ExpiresAt,
	}, func(_ *Tx, there []store.CredentialRow) error {
		for _, one := range there {
			if one.Hint == hint {
				return svcauth.NewProblem(svcauth.CodeConflict,
					"The service account has this key already: it is %s.", one.ID)
			}
			if key := material.JWK; key != nil && key.Kid != "" && keyOf(one).Kid == key.Kid {
				return svcauth.NewProblem(svcauth.CodeConflict, "The service account has another key with this kid: "+
					"it is %s. Choose another kid, or leave it out.", one.ID)
			}
		}
		return nil
	}, shownKey)
	if err != nil {
		return svcauth.Key{}, err
	}
	return keyOf(row), nil
}

// readKey returns the one key of a request, or where the client publishes its
// keys, and the hint of the row: thumbprint or address.
func (s *Service) readKey(n svcauth.NewKey) (material store.KeyMaterial, hint string, err error) {
	given := 0
	for _, is := range []bool{hasJWK(n), n.PEM != "", n.JWKSURI != ""} {
		if is {
			given++
		}
	}
	if given != 1 {
		return material, "", svcauth.InvalidField("body", "Expected one of jwk and pem, the public key, or jwks_uri, "+
			"where the client publishes its keys.")
	}
	material.AcceptTokenURLAudience = n.AcceptTokenURLAudience
	if n.JWKSURI != "" {
		material.JWKSURI = n.JWKSURI
		return material, n.JWKSURI, s.checkKeySetURL(n.JWKSURI)
	}
	key, verifier, err := readPublicKey(n)
	material.JWK = &key
	return material, verifier.Thumbprint, err
}

func hasJWK(n svcauth.NewKey) bool { return len(n.JWK) > 0 && string(n.JWK) != "null" }

// checkKeySetURL refuses an address that a client's keys are not fetched from:
// this server's own are nobody else's.
func (s *Service) checkKeySetURL(address string) error {
	if err := federation.CheckKeySetURL("", address); err != nil {
		return err
	}
	if strings.HasPrefix(strings.ToLower(address), strings.ToLower(s.cfg.Issuer)+"/") {
		return svcauth.InvalidField("body.jwks_uri", "The address is this server's own, which has no client's keys: "+
			"expected that of the client's key set.")
	}
	return nil
}

// readPublicKey returns the public key that a request holds.
func readPublicKey(n svcauth.NewKey) (key jwk.Key, verifier jwk.Verifier, err error) {
	at := "body.jwk"
	if hasJWK(n) {
		key, verifier, err = jwk.Parse(n.JWK)
	} else {
		at = "body.pem"
		key, verifier, err = jwk.ParsePEM(n.PEM)
	}
	if err != nil {
		return key, verifier, svcauth.InvalidField(at, "Refused: %s. Expected a public key: RSA of 2048 to 8192 bits, "+
			"P-256, P-384, P-521 or Ed25519.", err)
	}
	return key, verifier, nil
}

// UpdateKey changes a key's description, expiry or what audience it accepts. To
// let it live longer or accept more, the caller must hold every privilege that
// the account holds.
func (s *Service) UpdateKey(ctx context.Context, id, keyID string, patch svcauth.KeyPatch) (svcauth.Key, error) {
	row, err := s.updateCredential(ctx, id, keyKind, keyID, func(
		t *Tx, row *store.CredentialRow,
	) (changed, wider bool, err error) {
		old := *row
		material, err := store.ParseKeyMaterial(row.Material)
		if err != nil {
			return false, false, err
		}
		if accept := patch.AcceptTokenURLAudience; accept != nil && *accept != material.AcceptTokenURLAudience {
			material.AcceptTokenURLAudience, wider = *accept, *accept
			row.Material = material.Encode()
		}
		err = editCredential(row, svcauth.SecretPatch{
			Description: patch.Description, ExpiresAt: patch.ExpiresAt, ClearExpiresAt: patch.ClearExpiresAt,
		}, t.Now)
		return row.Material != old.Material || row.Description != old.Description ||
			!sameMoment(row.ExpiresAt, old.ExpiresAt), wider, err
	}, shownKey)
	if err != nil {
		return svcauth.Key{}, err
	}
	return keyOf(row), nil
}

// editCredential changes the description and the expiry of a credential.
func editCredential(row *store.CredentialRow, patch svcauth.SecretPatch, now time.Time) (err error) {
	if patch.Description != nil {
		if row.Description, err = validDescription(*patch.Description); err != nil {
			return err
		}
	}
	switch {
	case patch.ClearExpiresAt && patch.ExpiresAt != nil:
		return svcauth.InvalidField("body.expires_at", "Give a moment or clear the expiry, not both.")
	case patch.ClearExpiresAt:
		row.ExpiresAt = nil
	case patch.ExpiresAt != nil && !sameMoment(milli(patch.ExpiresAt), row.ExpiresAt):
		if err := validExpiry("body.expires_at", patch.ExpiresAt, now); err != nil {
			return err
		}
		row.ExpiresAt = milli(patch.ExpiresAt)
	}
	return nil
}

// DeleteKey removes a public key, even the last one: it obtains no new tokens.
// Those that it obtained live on, unless revokeTokens kills them.
func (s *Service) DeleteKey(ctx context.Context, id, keyID string, revokeTokens bool) error {
	return s.deleteCredential(ctx, id, keyKind, keyID, revokeTokens, shownKey)
}

// shownKey is what the audit log keeps: all that is known of a key, which is
// public.
func shownKey(row store.CredentialRow) any { return keyOf(row) }

// keyOf returns a row as what may be known of it.
func keyOf(row store.CredentialRow) svcauth.Key {
	key := svcauth.Key{
		ID: row.ID, Description: row.Description, CreatedAt: row.CreatedAt,
		CreatedBy: svcauth.Creator{ID: row.CreatedByID, Email: row.CreatedByName},
		ExpiresAt: row.ExpiresAt, LastUsedAt: row.LastUsedAt,
	}
	material, err := store.ParseKeyMaterial(row.Material)
	if err != nil {
		return key
	}
	key.AcceptTokenURLAudience, key.JWKSURI = material.AcceptTokenURLAudience, material.JWKSURI
	if material.JWK != nil {
		key.Kid, key.Algorithm, key.Thumbprint = material.JWK.Kid, material.JWK.Alg, row.Hint
		key.JWK, _ = json.Marshal(material.JWK)
	}
	return key
}
