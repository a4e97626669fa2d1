package provider

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/svcauth/svcauth/pkg/svcauth"
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
	made, recovered, err := r.creation(client, plan).run(ctx)
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
	warnOfDefault(&resp.Diagnostics, made.DefaultRefused)
	wanted := plan.Disabled
	plan.set(made)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
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

// newAccount returns what a creation asks for: an account without a secret.
func newAccount(plan serviceAccountModel) svcauth.NewServiceAccount {
	return svcauth.NewServiceAccount{
		Name:            plan.Name.ValueString(),
		Description:     plan.Description.ValueString(),
		TokenTTLSeconds: int(plan.TokenTTLSeconds.ValueInt64()),
		TokenBinding:    plan.TokenBinding.ValueString(),
		DefaultResource: plan.DefaultResource.ValueString(),
		Claims:          claimsIn(plan.Claims),
		Secret:          new(false),
	}
}

// creation makes the account without a secret. It recognizes a lost one by
// being new, exactly as requested, and without anything that came later.
func (r *serviceAccountResource) creation(
	client *svcauth.Client, plan serviceAccountModel,
) creation[svcauth.ServiceAccount] {
	name, began := plan.Name.ValueString(), time.Now()
	return creation[svcauth.ServiceAccount]{
		what: fmt.Sprintf("the service account %q", name),
		create: func(ctx context.Context) (svcauth.ServiceAccount, error) {
			return client.CreateServiceAccount(ctx, newAccount(plan))
		},
		find: func(ctx context.Context) (svcauth.ServiceAccount, bool, error) {
			found, err := accountNamed(ctx, client, name)
			if _, none := err.(*notFoundError); none {
				return found, false, nil
			}
			if err != nil {
				return found, false, err
			}
			fresh := found.CreatedAt.After(began.Add(-svcauth.MaxLeeway)) && found.LastUsedAt == nil && !found.Disabled
			if fresh && len(found.Secrets)+len(found.Roles) == 0 && requested(found, plan) {
				return found, true, nil
			}
			return found, false, fmt.Errorf("there is another service account with this "+
				"name, %s, which this apply did not make", found.ID)
		},
	}
}

// requested reports whether an account has what the plan asks a new one to
// have.
func requested(a svcauth.ServiceAccount, plan serviceAccountModel) bool {
	ttl := plan.TokenTTLSeconds
	return a.Description == plan.Description.ValueString() && bindingOf(a).Equal(plan.TokenBinding) &&
		a.DefaultResource == plan.DefaultResource.ValueString() && sameClaims(plan.Claims, a.Claims) &&
		(ttl.IsNull() || ttl.IsUnknown() || ttl.ValueInt64() == int64(a.TokenTTLSeconds))
}

// inTheWay adds to a conflict how to import the object that exists.
func inTheWay(err error, kind, ref string) error {
	if !hasCode(err, svcauth.CodeConflict) {
		return err
	}
	return fmt.Errorf("%w To manage the one that is there, import it: terraform import %s.<label> %q", err, kind, ref)
}
