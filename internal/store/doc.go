// Package store owns every row: the schema, its migrations and all SQL. SQLite
// and PostgreSQL share one text for each query.
//
// [Store.Read] runs queries outside a transaction. [Store.Write] runs a
// transaction that changes something. Both hand out a [Q], whose methods are
// the queries. Write first locks the one row of change_counter, so transactions
// that change something happen one after another, on all nodes. A rule that
// reads and then writes (the last Administrator, at most five secrets)
// therefore needs no lock of its own, and the order of the change log is the
// order of commits.
//
// It refuses to know the rules: who may do what, what a token says, when a key
// rotates. It never sees a secret or a private key in clear.
package store
