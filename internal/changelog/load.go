package changelog

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/svcauth/svcauth/internal/store"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// Load reads all live revocations and goes on from the end of the log. Call it
// once before serving. After an error nothing may be served.
func (l *Log) Load(ctx context.Context) error {
	l.applying.Lock()
	defer l.applying.Unlock()
	return l.load(ctx)
}

func (l *Log) load(ctx context.Context) error {
	began := l.cfg.Clock()
	head, err := l.cfg.Store.Read().LastChange(ctx)
	if err != nil {
		return fmt.Errorf("read the change log: %w", err)
	}
	readAll := func(add func(...svcauth.Revocation)) error { return l.readLive(ctx, head, add) }
	if err := l.cfg.Revocations.ReplaceFrom(readAll); err != nil {
		return fmt.Errorf("read the live revocations: %w", err)
	}
	l.head.Store(head)
	l.synced.Store(&began)
	for _, listener := range l.listeners {
		listener.Reset(ctx, head)
	}
	return nil
}

// readLive adds all live revocations up to head, page by page. A million of
// them at once would take more memory than the set that they go into.
func (l *Log) readLive(ctx context.Context, head int64, add func(...svcauth.Revocation)) error {
	for after := int64(0); ; {
		page, err := l.cfg.Store.Read().LiveRevocations(ctx, after, head, pageSize)
		if err != nil {
			return err
		}
		add(revocations(l.announcements(page))...)
		if len(page) < pageSize {
			return nil
		}
		after = page[len(page)-1].Seq
	}
}

// Revocation decodes the revocation that an entry of that kind carries.
func Revocation(c store.Change) (r svcauth.Revocation, err error) {
	if err = json.Unmarshal([]byte(c.Payload), &r); err != nil {
		return r, fmt.Errorf("entry %d of the change log is no revocation: %w", c.Seq, err)
	}
	return r, nil
}

// announcements returns the revocations among some entries. One that can't be
// decoded is logged and left out.
func (l *Log) announcements(entries []store.Change) []announcement {
	var out []announcement
	for _, c := range entries {
		if c.Kind != store.ChangeRevocation {
			continue
		}
		r, err := Revocation(c)
		if err != nil {
			l.cfg.Logger.Error("a revocation can't be read and is not enforced here", "error", err)
			continue
		}
		out = append(out, announcement{c.Seq, c.OrgID, r})
	}
	return out
}

func revocations(news []announcement) []svcauth.Revocation {
	out := make([]svcauth.Revocation, len(news))
	for i, a := range news {
		out[i] = a.Revocation
	}
	return out
}
