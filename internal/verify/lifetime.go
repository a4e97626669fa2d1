package verify

import (
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How far clocks and nodes may lag behind. What is kept because of a token's
// expiry, or judged by a time from another machine, must allow for these.
const (
	// ClockDifference is how far the clocks of two machines may differ. What
	// must outlive every token (a revocation, a retired signing key) is kept
	// that much longer than the token.
	ClockDifference = time.Hour
	// MaxServeStale is how long a node of the server that is cut off from the
	// database may go on issuing tokens from what it has in memory.
	MaxServeStale = time.Hour
)

// LastExpiry returns the latest time at which a token can expire that is issued
// under what was valid until now. Such a token has the longest lifetime, and
// comes from a node that has not heard of the change yet and whose clock is
// ahead.
func LastExpiry(now time.Time) time.Time {
	return now.Add(ClockDifference + MaxServeStale + svcauth.MaxTokenTTLSeconds*time.Second)
}

// KeptUntil returns the time until which a resource server may accept a token
// with the given expiry: its clock may be behind, and it grants leeway.
// Revocations of the token, and the key that signed it, are kept until then.
func KeptUntil(expiry time.Time) time.Time { return expiry.Add(ClockDifference + svcauth.MaxLeeway) }
