// Package bench measures what the server costs, as a process seen from outside,
// against a bare handler that does nothing but sign. Everything in it is a
// benchmark (`make bench`); what it prints are ratios of two processes that ran
// in turn under the same load, because an absolute time says more about the
// machine than about us.
package bench
