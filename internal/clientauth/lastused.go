package clientauth

import (
	"context"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

// lastUsed collects when clients and credentials were last used, and writes
// that down now and then, off the path of any request.
type lastUsed struct {
	cfg         Config
	mu          sync.Mutex
	clients     map[string]int64 // id → ms
	credentials map[string]int64
}

const (
	writeUseEvery = 15 * time.Second
	maxUsed       = 200_000 // beyond that the newest are not recorded until the next writing
)

func newLastUsed(cfg Config) *lastUsed {
	return &lastUsed{cfg: cfg, clients: map[string]int64{}, credentials: map[string]int64{}}
}

func (u *lastUsed) record(clientID, credentialID string, at time.Time) {
	ms := at.UnixMilli()
	u.mu.Lock()
	if len(u.credentials) < maxUsed {
		u.clients[clientID], u.credentials[credentialID] = ms, ms
	}
	u.mu.Unlock()
}

func (u *lastUsed) run(ctx context.Context) {
	store.WriteEvery(ctx, writeUseEvery, u.write)
}

// write puts all that was recorded into the database, in small transactions.
// What can't be written is recorded again.
func (u *lastUsed) write(ctx context.Context) {
	u.mu.Lock()
	clients, credentials := u.clients, u.credentials
	u.clients, u.credentials = map[string]int64{}, map[string]int64{}
	u.mu.Unlock()
	err := u.cfg.Store.NoteUse(ctx, clients, credentials)
	if err == nil {
		return
	}
	u.cfg.Logger.Warn("the time of last use could not be written; tried again soon", "error", err)
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, ms := range credentials {
		u.credentials[id] = max(ms, u.credentials[id])
	}
	for id, ms := range clients {
		u.clients[id] = max(ms, u.clients[id])
	}
}
