// Package limits bounds work by key: how much may be under way at once
// (Shares) and how often it may begin (Rates). A key is whatever a fair share
// is counted for: an address, a client, an organization.
//
// It owns: counting, fair shares and the part that is kept for the operator.
// It refuses to know: what is counted and how a refusal is worded.
package limits
