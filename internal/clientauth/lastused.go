package clientauth

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/svcauth/svcauth/internal/store"
)

// lastUsed collects when credentials were last used, and writes that down now
// and then, off the path of any request. A use soon after the noted one is not
// noted. So what is told of a last use is right within five minutes:
// [noteAgainAfter], a minute in the store, and until it is written.
type lastUsed struct {
	cfg  Config
	mu   sync.Mutex
	used map[string]store.Use // by the credential's id
}

const (
	// noteAgainAfter is how long after the noted use of a credential another
	// one is noted.
	noteAgainAfter = 3 * time.Minute
	writeUseEvery  = 15 * time.Second
	maxUsed        = 200_000 // beyond that the newest are not recorded until the next writing
)

func newLastUsed(cfg Config) *lastUsed { return &lastUsed{cfg: cfg, used: map[string]store.Use{}} }

// record notes a use, unless the last noted one was a moment ago: the client's
// snapshot knows, so that it costs nothing to look.
func (u *lastUsed) record(client *Client, credentialID string, at time.Time) {
	ms := at.UnixMilli()
	i := slices.IndexFunc(client.Used, func(u store.CredentialUse) bool { return u.CredentialID == credentialID })
	if i < 0 {
		return
	}
	last := client.noted[i].Load()
	if ms-last < noteAgainAfter.Milliseconds() || !client.noted[i].CompareAndSwap(last, ms) {
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.used) >= maxUsed {
		client.noted[i].Store(last)
		return
	}
	u.used[credentialID] = store.Use{ClientID: client.ClientID, MS: ms}
}

func (u *lastUsed) run(ctx context.Context) {
	store.WriteEvery(ctx, writeUseEvery, u.write)
}

// write puts all that was recorded into the database, in small transactions.
// What can't be written is recorded again.
func (u *lastUsed) write(ctx context.Context) {
	u.mu.Lock()
	used := u.used
	u.used = map[string]store.Use{}
	u.mu.Unlock()
	err := u.cfg.Store.NoteUse(ctx, used)
	if err == nil {
		return
	}
	u.cfg.Logger.Warn("the time of last use could not be written; tried again soon", "error", err)
	u.mu.Lock()
	defer u.mu.Unlock()
	for id, one := range used {
		if one.MS > u.used[id].MS {
			u.used[id] = one
		}
	}
}
