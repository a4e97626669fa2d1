// Package drill breaks what the server stands on, under load, and checks from
// the clients' own records what was lost. It runs the real program as
// processes, with a real PostgreSQL and a real Redis. `make drill` runs all of
// it and prints a table; `make test` runs the shortest.
//
// Strangers and tenants have a section of their own. The files strangers_*
// attack a node as anybody can who reaches it, tenants_* as somebody who has an
// account there. Each compares the 99th percentile of right callers under the
// attack with a quiet one of the same run.
package drill
