// Package refusals remembers what OAuth2 clients were refused, so that their
// organization finds out what no answer may tell a stranger: when, why, from
// where, and under which request id.
//
// It owns: joining equal refusals of an hour into one row, the bounds on what
// strangers who know a client's id can make of it, and writing it aside from
// all requests.
// It refuses to know: what is refused and why, and who may read it.
package refusals

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/limits"
	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/internal/typeid"
	"github.com/svcauth/svcauth/internal/untrusted"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// How many rows may wait at this node to be written: of one client and of one
// organization, each before and after somebody has proven who they are, and of
// all. A client's further refusals are joined whatever network and program they
// come from; those of an organization or of all are lost, and counted.
const (
	maxEach         = 20
	maxOrganization = 300
	maxStrangers    = 1500 // before anybody has proven who they are
	maxRows         = 2000
	maxRequestIDs   = 50 // of a row
	maxText         = 300
	writeEvery      = 5 * time.Second
	period          = time.Hour // whose equal refusals are one row
)

// Observer measures a Log. [telemetry.Metrics] is one.
type Observer interface {
	// QueueDropped is called with "refusals" and how many were lost, because
	// too many rows waited.
	QueueDropped(queue string, n int)
}

// Config is what a Log stands on.
type Config struct {
	Store    *store.Store
	Logger   *slog.Logger // nil: no log
	Observer Observer     // nil: nothing is measured
}

// Refusal is one request that was refused.
type Refusal struct {
	// OrgID and ClientID are of the client that the request named, or of the
	// member who sent it. Both are empty if nobody is known: then the row is
	// nobody's, and a stranger has had the same work done.
	OrgID, ClientID string
	// Proven says that the client had proven who it is, and in a row that is
	// nobody's that the server was at fault.
	Proven       bool
	CredentialID string // by which it had

	RequestID string // its time is the refusal's
	Endpoint  string // the path, of a closed list
	Code      string // what the caller was told
	Reason    string // a word of a closed list
	Detail    string // for the organization, in a sentence
	IP        netip.Addr
	UserAgent string
}

// Log joins refusals and writes them. It is safe for concurrent use.
type Log struct {
	cfg     Config
	writing sync.Mutex // one flush at a time

	mu        sync.Mutex
	rows      map[key]*store.Refusal
	of        map[owner]int // rows of a client, and of an organization
	strangers int           // rows
	dropped   int           // since the last report
}

// owner is whose rows are counted: an organization's, or a client's of a kind.
type owner struct {
	org, client string
	proven      bool
}

// key says which refusals are equal.
type key struct {
	owner
	hour                                 int64
	endpoint, reason, detail, credential string
	network                              netip.Addr // zero: several
}

// New returns a Log that writes to cfg.Store as long as its Run runs.
func New(cfg Config) *Log {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	l := &Log{cfg: cfg}
	l.empty()
	return l
}

func (l *Log) empty() {
	l.rows, l.of, l.strangers = map[key]*store.Refusal{}, map[owner]int{}, 0
}

// Note takes a refusal and returns at once. It will be written within seconds.
// A nil Log forgets all.
func (l *Log) Note(r Refusal) {
	if l == nil {
		return
	}
	at := typeid.Time(r.RequestID)
	one := store.Refusal{OrgID: r.OrgID, ClientID: r.ClientID, Refusal: svcauth.Refusal{
		At: at, FirstAt: at, Count: 1, Endpoint: r.Endpoint, Code: r.Code, Reason: r.Reason,
		Detail: text(r.Detail), Authenticated: r.Proven, CredentialID: r.CredentialID,
		UserAgent: text(r.UserAgent), RequestIDs: []string{r.RequestID},
	}}
	k := key{
		owner: owner{r.OrgID, r.ClientID, r.Proven}, hour: at.Truncate(period).UnixMilli(),
		endpoint: r.Endpoint, reason: r.Reason, detail: one.Detail, credential: r.CredentialID,
	}
	if r.IP.IsValid() {
		k.network, one.IP = limits.NetworkOf(r.IP), r.IP.String()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.join(k, one) {
		l.dropped++
	}
}

// text returns a text from outside without secrets, on one line and cut.
func text(s string) string {
	return untrusted.Cut(untrusted.Line(untrusted.RedactSecrets(untrusted.Cut(s, 4*maxText))), maxText)
}

// join adds to the row of equal refusals, or makes one. It returns false if
// there is no room for that.
func (l *Log) join(k key, r store.Refusal) bool {
	if row := l.rows[k]; row != nil {
		merge(row, r)
		return true
	}
	if l.of[k.owner] >= maxEach && (k.network.IsValid() || k.detail != "" || k.credential != "") {
		// The endpoints and the reasons are few.
		k.network, k.detail, k.credential = netip.Addr{}, "", ""
		r.IP, r.UserAgent, r.Detail, r.CredentialID = "", "", "", ""
		return l.join(k, r)
	}
	org := owner{org: k.org, proven: k.proven}
	if len(l.rows) >= maxRows || !k.proven && l.strangers >= maxStrangers || l.of[org] >= maxOrganization {
		return false
	}
	if k.client != "" { // else owner and organization are the same
		l.of[org]++
	}
	l.of[k.owner]++
	if !k.proven {
		l.strangers++
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %t %d %q %q %q %q %s", k.org, k.client, k.proven, k.hour, k.endpoint,
		k.reason, k.detail, k.credential, k.network))
	r.ID = hex.EncodeToString(sum[:16])
	l.rows[k] = &r
	return true
}

// merge adds a later refusal to a row.
func merge(row *store.Refusal, r store.Refusal) {
	row.Count += r.Count
	if r.At.After(row.At) {
		row.At, row.IP, row.UserAgent = r.At, r.IP, r.UserAgent
	}
	if r.FirstAt.Before(row.FirstAt) {
		row.FirstAt = r.FirstAt
	}
	row.RequestIDs = append(row.RequestIDs, r.RequestIDs...)
	if len(row.RequestIDs) >= 2*maxRequestIDs { // now and then: the oldest go
		row.RequestIDs = slices.Clone(row.RequestIDs[len(row.RequestIDs)-maxRequestIDs:])
	}
}

// Run writes what is noted until ctx is done, and what is left then.
func (l *Log) Run(ctx context.Context) error {
	store.WriteEvery(ctx, writeEvery, func(ctx context.Context) { l.report(l.Flush(ctx)) })
	return nil
}

func (l *Log) report(err error) {
	if err != nil {
		l.cfg.Logger.Warn("what clients were refused could not be written down; tried again soon", "error", err)
	}
	l.mu.Lock()
	lost := l.dropped
	l.dropped = 0
	l.mu.Unlock()
	if lost == 0 {
		return
	}
	l.cfg.Logger.Warn("refusals of clients are missing on their pages: more of them came than can wait to be written",
		"count", lost)
	if l.cfg.Observer != nil {
		l.cfg.Observer.QueueDropped("refusals", lost)
	}
}

// Flush writes what has been noted so far. What can't be written waits for the
// next flush. A nil Log has nothing.
func (l *Log) Flush(ctx context.Context) error {
	if l == nil {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	taken := l.rows
	if len(taken) > 0 {
		l.empty()
	}
	l.mu.Unlock()
	if len(taken) == 0 {
		return nil
	}
	keys := make(map[string]key, len(taken))
	all := make([]store.Refusal, 0, len(taken))
	for k, row := range taken {
		if first := len(row.RequestIDs) - maxRequestIDs; first > 0 {
			row.RequestIDs = row.RequestIDs[first:]
		}
		slices.Reverse(row.RequestIDs) // the newest first
		keys[row.ID] = k
		all = append(all, *row)
	}
	written, err := l.cfg.Store.NoteRefusals(ctx, all)
	if err == nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range all[written:] {
		slices.Reverse(r.RequestIDs)
		if !l.join(keys[r.ID], r) {
			l.dropped += r.Count
		}
	}
	return err
}
