// Package cache is the short memory that the nodes share: Redis, or its twin
// inside the process if there is one node only.
//
// It owns the records of issued tokens (their metadata), the markers of revoked
// ones, the notifications that tell other nodes to read the change log now, and
// the counters of wrong secrets. Of each there are two implementations: one in
// memory and one in Redis. All of Redis is here: URL forms, timeouts, the
// circuit breaker.
//
// It refuses to know whether a token is valid. It is a cache and a notifier,
// never the ledger: whatever is in Redis may be flushed, late or lost, and no
// revoked token comes back because of it. It never sees a token or a secret,
// and puts no address of a failed attempt into Redis in clear.
//
// Nothing here makes a token request wait for the network: [Cache.RecordToken],
// [Cache.MarkRevoked] and [Cache.Fail] are answered from memory, and
// [Cache.Run] carries what they leave to Redis in batches. The other methods
// wait at most a quarter of a second.
package cache
