package provider

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// ImportState expects <service account>/<secret>: the account by id or name,
// the secret by id or by its last four characters.
func (r *secretResource) ImportState(
	ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse,
) {
	client := r.begin(&resp.Diagnostics, "Importing the secret failed")
	if client == nil {
		return
	}
	holder, id, err := findSecret(ctx, client, req.ID)
	if err != nil {
		r.fail(&resp.Diagnostics, "Importing the secret failed", err)
		return
	}
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("id"), id)...)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("service_account_id"), holder)...)
}

func findSecret(ctx context.Context, client *svcauth.Client, importID string) (accountID, id string, err error) {
	at := strings.LastIndexByte(importID, '/') // the name of an account may hold one
	if at < 1 || at == len(importID)-1 {
		return "", "", errors.New("expected an import id of the form <service account by id or name>/<secret by id " +
			"or its last four characters>")
	}
	accountRef, secretRef := importID[:at], importID[at+1:]
	holder, err := account(ctx, client, accountRef)
	if err != nil {
		return "", "", err
	}
	var matches []string
	for _, s := range holder.Secrets {
		if s.ID == secretRef || s.Hint == secretRef {
			matches = append(matches, s.ID)
		}
	}
	if len(matches) != 1 {
		return "", "", fmt.Errorf("the service account %s has %d secrets with the id or the last characters %q; "+
			"expected one", holder.ID, len(matches), secretRef)
	}
	return holder.ID, matches[0], nil
}
