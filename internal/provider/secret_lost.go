package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// lostKey is the key, in the private state, of secrets that a rotation may have
// added without getting an answer.
const lostKey = "lost"

// lostSecret is what is known of such a secret.
type lostSecret struct {
	Hint string    `json:"hint"`
	At   time.Time `json:"at"` // when it was tried
}

// recordLost appends the secret to lost if err says that it may have been
// added.
func recordLost(lost []lostSecret, err error, secret svcauth.Secret) []lostSecret {
	if unclear := (*lostError)(nil); errors.As(err, &unclear) {
		lost = append(lost, lostSecret{secret.Hint(), time.Now().UTC()})
	}
	return lost
}

// removeLost finds and removes the lost secrets that were added after all.
// Nobody uses them: the apply that made them has failed.
func (a secretApply) removeLost(ctx context.Context, m secretModel, lost []lostSecret) error {
	if len(lost) == 0 {
		return nil
	}
	managed := map[string]bool{m.ID.ValueString(): true}
	for _, p := range m.previous(ctx, a.d) {
		managed[p.ID.ValueString()] = true
	}
	all, err := a.client.Secrets(ctx, m.ServiceAccountID.ValueString())
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, s := range all.Items {
		for _, l := range lost {
			if managed[s.ID] || s.Hint != l.Hint || s.CreatedAt.Before(l.At.Add(-svcauth.MaxLeeway)) {
				continue
			}
			if err := a.remove(ctx, &m, s.ID, true); err != nil {
				return err
			}
		}
	}
	return nil
}

// decodeList reads a list from the private state. It returns nil if there is
// none.
func decodeList[T any](raw []byte) (list []T) {
	_ = json.Unmarshal(raw, &list)
	return list
}

// encodeList returns a list as the private state stores it.
func encodeList[T any](list []T) []byte {
	if list == nil {
		list = []T{}
	}
	raw, _ := json.Marshal(list)
	return raw
}
