package console

import (
	"net/http"
	"slices"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountSecrets(g *gin.RouterGroup) {
	const secrets = "/service-accounts/:id/secrets"
	g.GET(secrets, k.signedIn(secretsTab))
	g.POST(secrets, k.signedIn(createSecret))
	g.GET(secrets+"/new", k.signedIn(newSecret))
	g.GET(secrets+"/:secret/edit", k.signedIn(editSecret))
	g.POST(secrets+"/:secret/edit", k.signedIn(saveSecret))
	g.GET(secrets+"/:secret/remove", k.signedIn(confirmRemoveSecret))
	g.POST(secrets+"/:secret/remove", k.signedIn(removeSecret))
}

func (v *visit) secretsPage(status int, d accountData) error {
	return v.credentialsPage(status, d)
}

// secretsTab leads from the address that the tab had before to its own.
func secretsTab(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.redirect("/console/service-accounts/" + a.ID + "/credentials")
}

func newSecret(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.secretsPage(http.StatusOK, accountData{Account: a, Dialog: "new-secret", Form: blank()})
}

// createSecret shows the secret as createServiceAccount does.
func createSecret(v *visit) error {
	f := v.form()
	first, err := v.first()
	if err != nil {
		return err
	}
	a, err := v.account()
	if err != nil {
		return err
	}
	back := "/console/service-accounts/" + a.ID + "/credentials"
	if !first {
		return v.done(back, "This form was sent before. A Client Secret is shown once; "+
			"if you have not saved it, remove it and create another one.")
	}
	expires := f.dateTime("expires_at")
	if len(f.Errors) == 0 {
		made, err := v.k.cfg.Access.CreateSecret(v.ctx(), a.ID, svcauth.NewSecretRequest{
			Description: f.Value("description"),
			ExpiresAt:   expires,
		})
		if err == nil {
			shown := v.k.newCreated(a.ClientID, made.ClientSecret, a.Name, back)
			if a, err = v.account(); err != nil {
				return err
			}
			return v.secretsPage(http.StatusOK, accountData{Account: a, Dialog: "secret", Made: shown})
		}
		if !f.refused(err, "") {
			return err
		}
	}
	return v.secretsPage(f.status(), accountData{Account: a, Dialog: "new-secret", Form: f})
}

// secret returns the account and the secret that the address names.
func (v *visit) secret() (svcauth.ServiceAccount, svcauth.SecretInfo, error) {
	a, err := v.account()
	if err != nil {
		return a, svcauth.SecretInfo{}, err
	}
	at := slices.IndexFunc(a.Secrets, func(s svcauth.SecretInfo) bool { return s.ID == v.Param("secret") })
	if at < 0 {
		return a, svcauth.SecretInfo{}, svcauth.NewProblem(svcauth.CodeNotFound,
			"%s has no such secret any more. Somebody has removed it.", a.Name)
	}
	return a, a.Secrets[at], nil
}

func editSecret(v *visit) error {
	a, s, err := v.secret()
	if err != nil {
		return err
	}
	return v.secretsPage(http.StatusOK, accountData{
		Account: a,
		Secret:  s,
		Dialog:  "edit-secret",
		Form:    filled("description", s.Description, "expires_at", fieldTime(s.ExpiresAt)),
	})
}

func saveSecret(v *visit) error {
	f := v.form()
	a, s, err := v.secret()
	if err != nil {
		return err
	}
	description, expires := f.Value("description"), f.dateTime("expires_at")
	if len(f.Errors) == 0 {
		patch := svcauth.SecretPatch{Description: &description}
		if fieldTime(s.ExpiresAt) != fieldTime(expires) {
			patch.ExpiresAt, patch.ClearExpiresAt = expires, expires == nil
		}
		_, err = v.k.cfg.Access.UpdateSecret(v.ctx(), a.ID, s.ID, patch)
		if err == nil {
			return v.done("/console/service-accounts/"+a.ID+"/credentials", "Saved.")
		}
		if !f.refused(err, "") {
			return err
		}
	}
	return v.secretsPage(f.status(), accountData{Account: a, Secret: s, Dialog: "edit-secret", Form: f})
}

func confirmRemoveSecret(v *visit) error {
	a, s, err := v.secret()
	if err != nil {
		return err
	}
	hit, err := v.k.cfg.Access.ServiceAccountImpact(v.ctx(), a.ID, s.ID, "")
	if err != nil {
		return err
	}
	return v.secretsPage(http.StatusOK, accountData{Account: a, Secret: s, Dialog: "remove-secret", Impact: hit})
}

func removeSecret(v *visit) error {
	a, s, err := v.secret()
	if err != nil {
		return err
	}
	revoke := v.PostForm("revoke_tokens") == "yes"
	if err := v.k.cfg.Access.DeleteSecret(v.ctx(), a.ID, s.ID, revoke); err != nil {
		return err
	}
	if revoke {
		return v.removed("/console/service-accounts/"+a.ID+"/credentials",
			"The secret ending in %s is removed, and the tokens it obtained no longer work.", s.Hint)
	}
	return v.done("/console/service-accounts/"+a.ID+"/credentials",
		"The secret ending in %s is removed. Tokens it obtained work until they expire.", s.Hint)
}
