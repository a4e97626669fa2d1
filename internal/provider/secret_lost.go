package provider

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// lostKey is in the private state: secrets that a rotation may have added, of which nobody could say so at the time.
const lostKey = "lost"

// lostSecret is what is known of one.
type lostSecret struct {
	Hint string    `json:"hint"`
	At   time.Time `json:"at"` // when it was tried
}

// noteLost adds the secret to those to be looked for, where err says that it may have been added.
func noteLost(lost []lostSecret, err error, secret svcauth.Secret) []lostSecret {
	if unclear := (*lostError)(nil); errors.As(err, &unclear) {
		lost = append(lost, lostSecret{secret.Hint(), time.Now().UTC()})
	}
	return lost
}

// removeLost looks for them, and removes those that were added after all. Nobody uses them: the apply that made them has failed.
func (r *secretResource) removeLost(
	ctx context.Context, d *diagnostics, client *svcauth.Client, m secretModel, lost []lostSecret,
) error {
	if len(lost) == 0 {
		return nil
	}
	managed := map[string]bool{m.ID.ValueString(): true}
	for _, p := range m.previous(ctx, d) {
		managed[p.ID.ValueString()] = true
	}
	all, err := client.Secrets(ctx, m.ServiceAccountID.ValueString())
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
			if _, err := client.DeleteSecret(ctx, m.ServiceAccountID.ValueString(), s.ID, true, 0); err != nil &&
				!gone(err) {
				return err
			}
		}
	}
	return nil
}

// noted reads a list from the private state; what is not there is none.
func noted[T any](raw []byte) (list []T) {
	_ = json.Unmarshal(raw, &list)
	return list
}

// note writes one.
func note[T any](list []T) []byte {
	if list == nil {
		list = []T{}
	}
	raw, _ := json.Marshal(list)
	return raw
}
