package svcauth

import "time"

// How far clocks may be apart. Whoever keeps something because of a token's
// expiry, or judges by a time that another machine has told, goes by these.
const (
	// ClockDifference is how far the clocks of two machines may differ. What
	// must outlive every token (a revocation, a retired signing key) is kept
	// that much longer than the token.
	ClockDifference = time.Hour
	// MaxLeeway is the largest leeway that a resource server may grant to a
	// token's times, and the one by which a thing is known again that was made
	// just now.
	MaxLeeway = 5 * time.Minute
	// DefaultLeeway is the leeway that a resource server grants if it is not
	// told otherwise.
	DefaultLeeway = 30 * time.Second
	// MaxServeStale is for how long a node that is cut off from the database
	// may go on issuing tokens by what it remembers.
	MaxServeStale = time.Hour
)

// LastExpiry returns the latest moment at which a token can expire that is
// issued by what held until now: the longest token, of a node that does not know
// yet and whose clock is ahead.
func LastExpiry(now time.Time) time.Time {
	return now.Add(ClockDifference + MaxServeStale + MaxTokenTTLSeconds*time.Second)
}

// KeptUntil returns the moment until which somebody may take a token for live
// that expires at the given one: the clock that is asked may be behind, and the
// resource server grants leeway. A revocation is kept until then, whoever made
// it and whatever it names, and so is a key for what it has signed.
func KeptUntil(expiry time.Time) time.Time { return expiry.Add(ClockDifference + MaxLeeway) }
