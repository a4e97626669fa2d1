// Package drill breaks what the server stands on, under load, and checks from the clients' own records what was lost. It runs the real program as processes, with a
// real PostgreSQL and a real Redis. `make drill` runs all of it and prints a table; `make test` runs the shortest.
package drill
