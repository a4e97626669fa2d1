package cache

import (
	"maps"
	"time"
)

const (
	maxUnsure     = 1 << 12 // organizations
	maxUnsureEach = 1 << 4  // clients of one
)

// doubts is until when there may be uses that there was no room for: what is
// not remembered may be one of them. It is so for a client, or if that are too
// many for its organization, or for all.
type doubts struct {
	all time.Time
	of  map[string]*doubt // by organization
}

type doubt struct {
	all     time.Time
	clients map[string]time.Time
}

// about reports whether a use may be one that there was no room for.
func (d *doubts) about(o Owner, now time.Time) bool {
	of := d.of[o.Org]
	return now.Before(d.all) || of != nil && (now.Before(of.all) || now.Before(of.clients[o.Client]))
}

// add notes that a use is not remembered.
func (d *doubts) add(o Owner, until, now time.Time) {
	of := d.of[o.Org]
	if of == nil {
		if len(d.of) >= maxUnsure {
			maps.DeleteFunc(d.of, func(_ string, of *doubt) bool { return of.over(now) })
		}
		if len(d.of) >= maxUnsure {
			d.addAll(until)
			return
		}
		of = &doubt{clients: map[string]time.Time{}}
		d.of[o.Org] = of
	}
	old, known := of.clients[o.Client]
	if !known && len(of.clients) >= maxUnsureEach {
		of.over(now)
	}
	if !known && len(of.clients) >= maxUnsureEach {
		of.all = latest(of.all, until)
		return
	}
	of.clients[o.Client] = latest(old, until)
}

func (d *doubts) addAll(until time.Time) { d.all = latest(d.all, until) }

// over forgets what is over, and reports whether that is all.
func (d *doubt) over(now time.Time) bool {
	maps.DeleteFunc(d.clients, func(_ string, until time.Time) bool { return !until.After(now) })
	return len(d.clients) == 0 && !d.all.After(now)
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
