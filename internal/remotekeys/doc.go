// Package remotekeys fetches the public keys of others: those that sign the
// tokens of other issuers, and those that a client publishes.
//
// It owns: from where keys may be fetched and at what cost, and for how long
// they are kept. Addresses come from tenants, so nothing inside the operator's
// networks is reached unless the operator has allowed it, and no tenant makes
// this server fetch much or wait long.
//
// It refuses to know: what is signed with the keys, and for whom.
package remotekeys
