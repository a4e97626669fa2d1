// Package cache is the short memory that the nodes share: Redis, or its twin inside the process where there is one node only.
//
// It owns: the records of issued tokens (their metadata), the markers of revoked ones, the doorbell that tells other nodes to look at the change log now,
// and the counters of wrong secrets. All of Redis is here: URL forms, time-outs, the circuit breaker.
//
// It refuses to know: whether a token is valid. It is a cache and a doorbell, never the ledger: whatever is in Redis may be flushed, late or
// lost, and no revoked token comes back for it. It never sees a token or a secret, and puts no address of a failed attempt into Redis in clear.
//
// Nothing here makes a token request wait for the network: [Cache.RecordToken], [Cache.MarkRevoked], [Cache.Fail] and [Cache.Limited] are answered
// from memory, and [Cache.Run] carries what they leave to Redis in batches. The other methods wait a quarter of a second at most.
package cache
