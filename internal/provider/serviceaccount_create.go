package provider

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The first secret expires by itself between one and two hours after the
// account's creation. That is early enough to be harmless if its removal fails,
// and late enough for a clock that is off. The moment is random to the
// millisecond, so it identifies an account whose creation was not answered.
const (
	firstSecretLife   = time.Hour
	firstSecretSpread = time.Hour
)

func (r *serviceAccountResource) Create(
	ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse,
) {
	var plan serviceAccountModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	client := r.begin(&resp.Diagnostics, "Creating the service account failed")
	if client == nil {
		return
	}
	expires := time.Now().Add(firstSecretLife + rand.N(firstSecretSpread)).UTC().Truncate(time.Millisecond)
	made, recovered, err := r.creation(client, plan, expires).run(ctx)
	if err != nil {
		r.fail(&resp.Diagnostics, "Creating the service account failed",
			inTheWay(err, "svcauth_service_account", plan.Name.ValueString()))
		return
	}
	if recovered {
		resp.Diagnostics.AddWarning("The answer to a creation was lost",
			fmt.Sprintf("The service account %q was made, but the connection broke before the answer came. "+
				"It was found again and is managed as %s.", made.Name, made.ID))
	}
	wanted := plan.Disabled
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	r.removeFirstSecret(ctx, &resp.Diagnostics, client, made)
	if !wanted.ValueBool() {
		return
	}
	made, err = client.UpdateServiceAccount(ctx, made.ID, 0, svcauth.ServiceAccountPatch{
		Disabled: wanted.ValueBoolPointer(),
	}, 0)
	if err != nil {
		r.fail(&resp.Diagnostics, "The service account was made, but disabling it failed", err)
		return
	}
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// creation makes the account with a first secret that expires at a moment of
// our choosing. Names are unique, so the server makes it at most once.
func (r *serviceAccountResource) creation(
	client *svcauth.Client, plan serviceAccountModel, expires time.Time,
) creation[svcauth.ServiceAccount] {
	name := plan.Name.ValueString()
	return creation[svcauth.ServiceAccount]{
		what: fmt.Sprintf("the service account %q", name),
		create: func(ctx context.Context) (svcauth.ServiceAccount, error) {
			return client.CreateServiceAccount(ctx, svcauth.NewServiceAccount{
				Name:            name,
				Description:     plan.Description.ValueString(),
				TokenTTLSeconds: int(plan.TokenTTLSeconds.ValueInt64()),
				SecretExpiresAt: &expires,
			})
		},
		find: func(ctx context.Context) (svcauth.ServiceAccount, bool, error) {
			found, err := accountNamed(ctx, client, name)
			if _, none := err.(*notFoundError); none {
				return found, false, nil
			}
			if err != nil {
				return found, false, err
			}
			for _, s := range found.Secrets {
				if s.ExpiresAt != nil && s.ExpiresAt.Truncate(time.Millisecond).Equal(expires) {
					return found, true, nil
				}
			}
			return found, false, fmt.Errorf("there is another service account with this "+
				"name, %s, which this apply did not make", found.ID)
		},
	}
}

// removeFirstSecret removes the secret that the server makes with each account.
// Nobody knows it: its answer was discarded.
func (r *serviceAccountResource) removeFirstSecret(
	ctx context.Context, d *diagnostics, client *svcauth.Client, made svcauth.ServiceAccount,
) {
	for _, s := range made.Secrets {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recoveryTimeout)
		_, err := client.DeleteSecret(ctx, made.ID, s.ID, true, 0)
		cancel()
		if err != nil && !gone(err) {
			d.AddWarning("The first secret of a service account is still there",
				fmt.Sprintf("The server makes a secret with each service account, and this "+
					"provider removes it unread. For %q "+
					"that failed (%s). Nobody has it, and it expires by itself at %s; it can be removed as %s.",
					made.Name, r.explain(err), stampOrNull(s.ExpiresAt).ValueString(), s.ID))
		}
	}
}

// inTheWay adds to a conflict how to import the object that exists.
func inTheWay(err error, kind, ref string) error {
	if !hasCode(err, svcauth.CodeConflict) {
		return err
	}
	return fmt.Errorf("%w To manage the one that is there, import it: terraform import %s.<label> %q", err, kind, ref)
}
