package svcauth

import "time"

// How far clocks may be apart. Whoever keeps something because of a token's
// expiry, or judges by a token's times, goes by these.
const (
	// ClockDifference is how far the clocks of two machines may differ. What
	// must outlive every token (a revocation, a retired signing key) is kept
	// that much longer than the token.
	ClockDifference = time.Hour
	// MaxLeeway is the largest leeway that a resource server may grant to a
	// token's times.
	MaxLeeway = 5 * time.Minute
	// DefaultLeeway is the leeway that a resource server grants if it is not
	// told otherwise.
	DefaultLeeway = 30 * time.Second
	// KeepBeyondExpiry is how long after a token's expiry somebody may still
	// take it for live.
	KeepBeyondExpiry = ClockDifference + MaxLeeway
)
