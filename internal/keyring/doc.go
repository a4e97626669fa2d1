// Package keyring owns the master key and everything that rests under it: the
// signing keys of access tokens, and the key under which client secrets are
// hashed. Private keys never leave it. It gives out signatures, hashes and
// public keys.
//
// # Signing keys
//
// A key is next (published, does not sign), then active (signs), then retired
// (verifies only). It is deleted when the last token that it can have signed
// has expired. At all times exactly one is next and one is active.
//
// Every step is a transaction of [store.Store.Write] that reads the state
// first, so that nodes race safely. It appends an entry to the change log, so
// that all of them read the keys again ([Keyring.Reload]). The clock promotes a
// next key only after every verifier has had the time to fetch it
// (PublishBefore). A person may do so sooner ([Keyring.Rotate],
// [Keyring.Revoke]).
//
// # Sealing
//
// Keys are sealed by AES-256-GCM with a random nonce, under a key that is
// derived from the master key. The associated data is the kid, the RFC 7638
// thumbprint of the public key. When keys are read, the public key is computed
// from the private one and must fit its row. So whoever can write to the
// database but lacks the master key can take keys away, but can't bring one in.
//
// # Changing the master key without downtime
//
// Call the keys old and new. Each step is one rolling restart of all nodes:
//
//  1. MasterKey old, PreviousMasterKey new: every node can open what the next
//     step will seal.
//  2. MasterKey new, PreviousMasterKey old: each node seals everything anew at its
//     start, and looks again every minute.
//  3. MasterKey new alone, two minutes after the last node of step 2 started. A
//     node that finds something under the old key refuses to start and says so.
//
// With one node, steps 2 and 3 suffice. Backups made before keep needing the
// old key.
//
// It refuses to know: what a token says, who may rotate, HTTP.
package keyring
