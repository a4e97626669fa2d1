package svcauth

import "time"

// The states of a signing key.
const (
	KeyNext    = "next"    // published, does not sign yet
	KeyActive  = "active"  // signs
	KeyRetired = "retired" // only verifies, until all tokens that it signed have expired
)

// KeyRotation says which signing keys are rotated.
type KeyRotation struct {
	Algorithm string `json:"algorithm,omitempty" enum:"ES256,RS256,EdDSA" doc:"The algorithm whose keys are rotated; absent: each that is in use"`
}

// SigningKey describes a signing key. The private key never leaves the server.
type SigningKey struct {
	KID         string     `json:"kid" doc:"The key's id"`
	Algorithm   string     `json:"algorithm" doc:"The algorithm of its signatures, such as ES256"`
	State       string     `json:"state" doc:"next (published), active (signs) or retired (verifies only)"`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was made"`
	SignsFrom   *time.Time `json:"signs_from" doc:"When a next key begins to sign by the clock, within a minute, as far as there is room for the one that follows; null: it signs already or did, or no token needs its algorithm"`
	ActivatedAt *time.Time `json:"activated_at" doc:"When it began to sign"`
	RetiredAt   *time.Time `json:"retired_at" doc:"When it ceased to sign"`
	DeleteAfter *time.Time `json:"delete_after" doc:"When the last token that it signed has expired and it may be deleted"`
}
