package provider

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/svcauth/svcauth/internal/timespan"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

const (
	expiryWarning = 30 * 24 * time.Hour
	uncutKey      = "uncut" // private state: ids of secrets that a rotation has replaced and could not cut short
)

// secretApply is one apply to a secret. Its methods report to d.
type secretApply struct {
	*connection
	client *svcauth.Client
	d      *diagnostics
}

// ModifyPlan plans a rotation as one, plans the rest of one that was left half
// done, and warns of a secret that expires soon.
func (r *secretResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	r.checkPlan(&resp.Diagnostics)
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan, prior, config secretModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.Config.Get(ctx, &config)...)
	creating := req.State.Raw.IsNull()
	if !creating {
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	adding := creating || rotates(prior, plan)
	if !adding {
		plan = planPresent(ctx, req, resp, prior, plan)
		warnOfUnknownText(&resp.Diagnostics, prior, config)
	}
	if adding || !plan.ExpiresAt.Equal(prior.ExpiresAt) {
		refusePast(&resp.Diagnostics, plan.ExpiresAt, "A secret that is made or changed must expire later.")
	}
	if !resp.Diagnostics.HasError() {
		warnOfExpiry(&resp.Diagnostics, plan)
	}
}

// planPresent plans the present secret as it is, without a rotation, and
// returns that plan. If an earlier rotation left something to do, an update
// becomes due.
func planPresent(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
	prior, plan secretModel,
) secretModel {
	plan.ID = prior.ID
	plan.Hint = prior.Hint
	plan.CreatedAt = prior.CreatedAt
	plan.CreatedBy = prior.CreatedBy
	plan.Generation = prior.Generation
	plan.Previous = prior.Previous
	toCut, more := req.Private.GetKey(ctx, uncutKey)
	resp.Diagnostics.Append(more...)
	lost, more := req.Private.GetKey(ctx, lostKey)
	resp.Diagnostics.Append(more...)
	if len(decodeList[string](toCut))+len(decodeList[lostSecret](lost)) > 0 {
		plan.Previous = types.ListUnknown(previousType)
	}
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	return plan
}

// warnOfUnknownText warns, right after an import, if the configuration has
// another text than the imported secret: what is tied to the generation would
// be given that one.
func warnOfUnknownText(d *diagnostics, prior, config secretModel) {
	text := config.ClientSecretWO
	hint := svcauth.Secret(text.ValueString()).Hint()
	if !prior.ClientSecretWOVersion.IsNull() || text.IsUnknown() || hint == prior.Hint.ValueString() {
		return
	}
	d.AddAttributeWarning(path.Root("client_secret_wo"), "The imported secret has another text",
		fmt.Sprintf("The secret %s stays as it is: the first apply after an import rotates nothing. "+
			"But whatever else takes client_secret_wo now, by the secret's generation, "+
			"gets a text that the server does not know. "+
			"So apply this resource alone first (terraform apply -target), then raise client_secret_wo_version: "+
			"that gives the new secret to all.", named(prior.ID, prior.Hint)))
}

// warnOfExpiry warns if the secret has expired or will do so soon.
func warnOfExpiry(d *diagnostics, plan secretModel) {
	at := instant(plan.ExpiresAt)
	if at == nil || time.Until(*at) >= expiryWarning {
		return
	}
	summary, when := "A secret expires soon", "expires in "+days(time.Until(*at))
	if past(plan.ExpiresAt) {
		summary, when = "A secret has expired", "no longer works"
	}
	d.AddAttributeWarning(path.Root("expires_at"), summary,
		fmt.Sprintf("The secret %s of %s %s (%s). "+
			"To rotate it, raise client_secret_wo_version and move expires_at.",
			named(plan.ID, plan.Hint), plan.ServiceAccountID.ValueString(), when, at.UTC().Format(time.RFC3339)))
}

// rotates reports whether the version changes. The first version after an
// import is recorded without a rotation.
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
	return timespan.Text(left.Round(time.Minute))
}

// add adds the caller's secret. The server refuses a secret that the account
// already has, so it is added at most once.
func (a secretApply) add(ctx context.Context, plan secretModel, secret svcauth.Secret) (svcauth.SecretInfo, error) {
	accountID, began := plan.ServiceAccountID.ValueString(), time.Now()
	made, recovered, err := creation[svcauth.SecretInfo]{
		what: fmt.Sprintf("a secret of %s that ends in %s", accountID, secret.Hint()),
		create: func(ctx context.Context) (svcauth.SecretInfo, error) {
			return a.client.CreateSecret(ctx, accountID, svcauth.NewSecretRequest{
				Description:  plan.Description.ValueString(),
				ExpiresAt:    instant(plan.ExpiresAt),
				ClientSecret: secret,
			})
		},
		find: func(ctx context.Context) (svcauth.SecretInfo, bool, error) {
			all, err := a.client.Secrets(ctx, accountID)
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
		a.d.AddWarning("The answer to a creation was lost",
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
	apply := secretApply{r.connection, client, &resp.Diagnostics}
	if err := apply.removeLost(ctx, prior, decodeList[lostSecret](lost)); err != nil {
		r.fail(&resp.Diagnostics, "Looking for a secret of an earlier apply failed", err)
		return
	}
	secret := svcauth.Secret(config.ClientSecretWO.ValueString())
	next, ids, err := apply.advance(ctx, prior, plan, secret)
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, lostKey, encodeList(recordLost(nil, err, secret)))...)
	if err != nil {
		return
	}
	// From here on the new secret is in the state, whatever happens to the
	// previous one.
	left := apply.cut(ctx, &next, append(decodeList[string](toCut), ids...))
	resp.Diagnostics.Append(resp.Private.SetKey(ctx, uncutKey, encodeList(left))...)
	resp.Diagnostics.Append(resp.State.Set(ctx, next)...)
}

// advance rotates the secret or changes the present one. It returns the next
// state and the ids of secrets to end.
func (a secretApply) advance(
	ctx context.Context, prior, plan secretModel, secret svcauth.Secret,
) (next secretModel, toCut []string, err error) {
	next = plan
	next.Previous = prior.Previous
	if !rotates(prior, plan) {
		changed, err := a.change(ctx, prior, plan)
		if err != nil {
			a.fail(a.d, "Changing the secret failed", err)
			return next, nil, err
		}
		next.set(changed)
		next.Generation = prior.Generation // the state has created_at to the second only
		return next, nil, nil
	}
	next.Previous = a.withoutExpired(ctx, &prior)
	made, err := a.add(ctx, plan, secret)
	if err != nil {
		a.fail(a.d, "Rotating the secret failed; the present one works on", err)
		return next, nil, err
	}
	next.set(made)
	replaced := previousSecret{prior.ID, prior.Hint, types.StringPointerValue(expiryText(prior))}
	next.setPrevious(ctx, a.d, append(next.previous(ctx, a.d), replaced))
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
func (a secretApply) change(ctx context.Context, prior, plan secretModel) (svcauth.SecretInfo, error) {
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
	return a.client.UpdateSecret(ctx, prior.ServiceAccountID.ValueString(), prior.ID.ValueString(), patch)
}

// withoutExpired removes previous secrets that have expired, to make room: an
// account may have five. Those that can't be removed stay in the list.
func (a secretApply) withoutExpired(ctx context.Context, prior *secretModel) types.List {
	var left []previousSecret
	for _, p := range prior.previous(ctx, a.d) {
		at, err := time.Parse(time.RFC3339, p.ExpiresAt.ValueString())
		if err == nil && time.Now().After(at) && a.remove(ctx, prior, p.ID.ValueString(), false) == nil {
			continue
		}
		left = append(left, p)
	}
	prior.setPrevious(ctx, a.d, left)
	return prior.Previous
}

// remove removes one of the account's secrets. A secret that is gone already is
// no error.
func (a secretApply) remove(ctx context.Context, m *secretModel, id string, revoke bool) error {
	_, err := a.client.DeleteSecret(ctx, m.ServiceAccountID.ValueString(), id, revoke, 0)
	if gone(err) {
		return nil
	}
	return err
}

// cut ends each of the previous secrets, at once or after keep_previous_for. It
// returns the ids of those that it could not end. The next plan shows them as
// work to do. That is a warning: after an error Terraform would not hand the
// new secret on to those that are tied to it, and no later run has it.
func (a secretApply) cut(ctx context.Context, m *secretModel, ids []string) (failed []string) {
	list := m.previous(ctx, a.d)
	for _, id := range ids {
		at := slices.IndexFunc(list, func(p previousSecret) bool { return p.ID.ValueString() == id })
		if at < 0 { // gone meanwhile
			continue
		}
		ends, err := a.end(ctx, m, list[at])
		switch {
		case err != nil:
			failed = append(failed, id)
			a.d.AddWarning("The new secret works, but the previous one could not be cut short",
				fmt.Sprintf("The secret %s still works; the next apply tries again. %s", id, a.explain(err)))
		case ends == nil:
			list = slices.Delete(list, at, at+1)
		default:
			list[at].ExpiresAt = stamp(*ends)
		}
	}
	m.setPrevious(ctx, a.d, list)
	return failed
}

// end removes a previous secret and returns nil, or sets its expiry and returns
// that. It leaves alone a secret that expires earlier by itself.
func (a secretApply) end(ctx context.Context, m *secretModel, p previousSecret) (*time.Time, error) {
	id := p.ID.ValueString()
	keep, _ := m.KeepPreviousFor.ValueGoDuration()
	if m.KeepPreviousFor.IsNull() || keep <= 0 {
		return nil, a.remove(ctx, m, id, m.RevokeTokens.ValueBool())
	}
	until := time.Now().Add(keep).UTC().Truncate(time.Second)
	if has, err := time.Parse(time.RFC3339, p.ExpiresAt.ValueString()); err == nil && has.Before(until) {
		return &has, nil
	}
	patch := svcauth.SecretPatch{ExpiresAt: &until}
	info, err := a.client.UpdateSecret(ctx, m.ServiceAccountID.ValueString(), id, patch)
	if gone(err) {
		return nil, nil
	}
	return info.ExpiresAt, err
}
