package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	expiryWarning = 30 * 24 * time.Hour
	uncutKey      = "uncut" // private state: ids of secrets that a rotation has replaced and could not cut short
)

// ModifyPlan shows a rotation as what it is, has one that was left half done finished, and warns of what expires soon.
func (r *secretResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, prior secretModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	creating := req.State.Raw.IsNull()
	if !creating {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	rotating := !creating && rotates(prior, plan)
	if !creating && !rotating {
		plan.ID = prior.ID
		plan.Hint = prior.Hint
		plan.CreatedAt = prior.CreatedAt
		plan.CreatedBy = prior.CreatedBy
		plan.Previous = prior.Previous
		toCut, more := req.Private.GetKey(ctx, uncutKey)
		resp.Diagnostics.Append(more...)
		lost, more := req.Private.GetKey(ctx, lostKey)
		resp.Diagnostics.Append(more...)
		if len(noted[string](toCut))+len(noted[lostSecret](lost)) > 0 { // an update is due
			plan.Previous = types.ListUnknown(previousType)
		}
		resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	}
	if creating || rotating || !plan.ExpiresAt.Equal(prior.ExpiresAt) {
		refusePast(&resp.Diagnostics, plan.ExpiresAt, "A secret that is made or changed must expire later.")
	}
	if at := instant(plan.ExpiresAt); at != nil && time.Until(*at) < expiryWarning && !resp.Diagnostics.HasError() {
		summary, when := "A secret expires soon", "expires in "+days(time.Until(*at))
		if past(plan.ExpiresAt) {
			summary, when = "A secret has expired", "no longer works"
		}
		resp.Diagnostics.AddAttributeWarning(path.Root("expires_at"), summary,
			fmt.Sprintf("The secret %s of %s %s (%s). To rotate it, raise "+
				"client_secret_wo_version and move expires_at.",
				named(plan.ID, plan.Hint), plan.ServiceAccountID.ValueString(), when, at.UTC().Format(time.RFC3339)))
	}
}

// rotates says whether the version changes. One that was never noted (after an import) is noted, without a rotation.
func rotates(prior, plan secretModel) bool {
	return !prior.ClientSecretWOVersion.IsNull() && !plan.ClientSecretWOVersion.Equal(prior.ClientSecretWOVersion)
}

func named(id, hint types.String) string {
	if id.ValueString() == "" {
		return "to be made"
	}
	return fmt.Sprintf("%s (…%s)", id.ValueString(), hint.ValueString())
}

func days(left time.Duration) string {
	if n := int(left.Hours() / 24); n > 1 {
		return fmt.Sprintf("%d days", n)
	}
	return left.Round(time.Minute).String()
}

// add adds a secret of the caller's. The server refuses one that the account has already, so that it is made once at most.
func (r *secretResource) add(
	ctx context.Context, d *diagnostics, client *svcauth.Client, plan secretModel, secret svcauth.Secret,
) (svcauth.SecretInfo, error) {
	accountID, began := plan.ServiceAccountID.ValueString(), time.Now()
	made, recovered, err := creation[svcauth.SecretInfo]{
		what: fmt.Sprintf("a secret of %s that ends in %s", accountID, secret.Hint()),
		create: func(ctx context.Context) (svcauth.SecretInfo, error) {
			return client.CreateSecret(ctx, accountID, svcauth.NewSecretRequest{
				Description:  plan.Description.ValueString(),
				ExpiresAt:    instant(plan.ExpiresAt),
				ClientSecret: secret,
			})
		},
		find: func(ctx context.Context) (svcauth.SecretInfo, bool, error) {
			all, err := client.Secrets(ctx, accountID)
			if err != nil {
				return svcauth.SecretInfo{}, false, err
			}
			for _, s := range all.Items {
				if s.Hint == secret.Hint() && s.CreatedAt.After(began.Add(-svcauth.MaxLeeway)) &&
					s.Description == plan.Description.ValueString() {
					return s, true, nil
				}
			}
			return svcauth.SecretInfo{}, false, nil
		},
	}.run(ctx)
	if recovered {
		d.AddWarning("The answer to a creation was lost",
			fmt.Sprintf("The secret was added to %s, but the connection broke before the answer came. "+
				"It was found again by its last four characters and is managed as %s.", accountID, made.ID))
	}
	if hasCode(err, svcauth.CodeConflict) {
		err = fmt.Errorf("%w Where it is this very secret, import it: terraform import "+
			"svcauth_service_account_secret.<label> %s/%s", err, accountID, secret.Hint())
	}
	return made, err
}

func (r *secretResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var prior, plan, config secretModel
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	toCut, more := req.Private.GetKey(ctx, uncutKey)
	resp.Diagnostics.Append(more...)
	lost, more := req.Private.GetKey(ctx, lostKey)
	resp.Diagnostics.Append(more...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Changing the secret failed")
	if client == nil {
		return
	}
	if err := r.removeLost(ctx, &resp.Diagnostics, client, prior, noted[lostSecret](lost)); err != nil {
		r.fail(&resp.Diagnostics, "Looking for a secret of an earlier apply failed", err)
		return
	}
	secret := svcauth.Secret(config.ClientSecretWO.ValueString())
	next, ids, err := r.advance(ctx, &resp.Diagnostics, client, prior, plan, secret)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, lostKey, note(noteLost(nil, err, secret)))...)
	if err != nil {
		return
	}
	// From here on the new secret is in the state, whatever happens to the previous one.
	left := r.cut(ctx, &resp.Diagnostics, client, &next, append(noted[string](toCut), ids...))
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, uncutKey, note(left))...)
	resp.Diagnostics.Append(resp.State.Set(ctx, next)...)
}

// advance rotates or changes the present secret. It gives what is then to be in the state, and the ids of secrets that are to be cut short.
func (r *secretResource) advance(
	ctx context.Context, d *diagnostics, client *svcauth.Client, prior, plan secretModel, secret svcauth.Secret,
) (next secretModel, toCut []string, err error) {
	next = plan
	next.Previous = prior.Previous
	if !rotates(prior, plan) {
		changed, err := r.change(ctx, client, prior, plan)
		if err != nil {
			r.fail(d, "Changing the secret failed", err)
			return next, nil, err
		}
		next.set(changed)
		return next, nil, nil
	}
	next.Previous = r.withoutExpired(ctx, d, client, &prior)
	made, err := r.add(ctx, d, client, plan, secret)
	if err != nil {
		r.fail(d, "Rotating the secret failed; the present one works on", err)
		return next, nil, err
	}
	next.set(made)
	next.setPrevious(ctx, d,
		append(next.previous(ctx, d),
			previousSecret{prior.ID, prior.Hint, types.StringPointerValue(expiryText(prior))}))
	return next, []string{prior.ID.ValueString()}, nil
}

func expiryText(m secretModel) *string {
	if at := instant(m.ExpiresAt); at != nil {
		text := at.UTC().Format(time.RFC3339)
		return &text
	}
	return nil
}

// change changes the present secret in place.
func (r *secretResource) change(
	ctx context.Context, client *svcauth.Client, prior, plan secretModel,
) (svcauth.SecretInfo, error) {
	var patch svcauth.SecretPatch
	patch.Description = changedString(prior.Description, plan.Description)
	if !plan.ExpiresAt.Equal(prior.ExpiresAt) {
		patch.ExpiresAt = instant(plan.ExpiresAt)
		patch.ClearExpiresAt = patch.ExpiresAt == nil
	}
	if patch == (svcauth.SecretPatch{}) { // only what Terraform itself keeps has changed
		created, _ := time.Parse(time.RFC3339, prior.CreatedAt.ValueString())
		return svcauth.SecretInfo{
			ID:          prior.ID.ValueString(),
			Hint:        prior.Hint.ValueString(),
			Description: prior.Description.ValueString(),
			ExpiresAt:   instant(prior.ExpiresAt),
			CreatedAt:   created,
			CreatedBy:   svcauth.Creator{Email: prior.CreatedBy.ValueString()},
		}, nil
	}
	return client.UpdateSecret(ctx, prior.ServiceAccountID.ValueString(), prior.ID.ValueString(), patch)
}

// withoutExpired removes previous secrets whose time is over, to make room: an account holds five. What can't be removed stays noted.
func (r *secretResource) withoutExpired(
	ctx context.Context, d *diagnostics, client *svcauth.Client, prior *secretModel,
) types.List {
	var left []previousSecret
	for _, p := range prior.previous(ctx, d) {
		at, err := time.Parse(time.RFC3339, p.ExpiresAt.ValueString())
		if err == nil && time.Now().After(at) {
			if _, err := client.DeleteSecret(ctx, prior.ServiceAccountID.ValueString(), p.ID.ValueString(), false,
				0); err == nil || gone(err) {
				continue
			}
		}
		left = append(left, p)
	}
	prior.setPrevious(ctx, d, left)
	return prior.Previous
}

// cut gives each of the ids its end: at once, or after keep_previous_for. It gives those for which that failed; the next plan shows them as something to be done.
func (r *secretResource) cut(
	ctx context.Context, d *diagnostics, client *svcauth.Client, m *secretModel, ids []string,
) (failed []string) {
	list, accountID := m.previous(ctx, d), m.ServiceAccountID.ValueString()
	for _, id := range ids {
		at := slices.IndexFunc(list, func(p previousSecret) bool { return p.ID.ValueString() == id })
		if at < 0 { // gone meanwhile
			continue
		}
		ends, err := r.end(ctx, client, m, accountID, list[at])
		switch {
		case err != nil:
			failed = append(failed, id)
			r.fail(d, "The new secret works, but the previous one could not be cut short",
				fmt.Errorf("%w (%s still works; the next apply tries again)", err, id))
		case ends == nil:
			list = slices.Delete(list, at, at+1)
		default:
			list[at].ExpiresAt = stamp(*ends)
		}
	}
	m.setPrevious(ctx, d, list)
	return failed
}

// end removes a previous secret (and gives nil), or lets it expire. One that expires earlier by itself is left alone.
func (r *secretResource) end(
	ctx context.Context, client *svcauth.Client, m *secretModel, accountID string, p previousSecret,
) (*time.Time, error) {
	id := p.ID.ValueString()
	keep, _ := m.KeepPreviousFor.ValueGoDuration()
	if m.KeepPreviousFor.IsNull() || keep <= 0 {
		_, err := client.DeleteSecret(ctx, accountID, id, m.RevokeTokens.ValueBool(), 0)
		if gone(err) {
			err = nil
		}
		return nil, err
	}
	until := time.Now().Add(keep).UTC().Truncate(time.Second)
	if has, err := time.Parse(time.RFC3339, p.ExpiresAt.ValueString()); err == nil && has.Before(until) {
		return &has, nil
	}
	info, err := client.UpdateSecret(ctx, accountID, id, svcauth.SecretPatch{ExpiresAt: &until})
	if gone(err) {
		return nil, nil
	}
	return info.ExpiresAt, err
}
