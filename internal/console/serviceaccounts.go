package console

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountServiceAccounts(g *gin.RouterGroup) {
	const one = "/service-accounts/:id"
	g.GET("/service-accounts", k.signedIn(serviceAccounts))
	g.POST("/service-accounts", k.signedIn(createServiceAccount))
	g.GET("/service-accounts/new", k.signedIn(newServiceAccount))
	g.GET(one, k.signedIn(serviceAccount))
	g.GET(one+"/edit", k.signedIn(editServiceAccount))
	g.POST(one+"/edit", k.signedIn(saveServiceAccount))
	g.GET(one+"/disable", k.signedIn(confirmDisable))
	g.POST(one+"/disable", k.signedIn(disableServiceAccount))
	g.POST(one+"/enable", k.signedIn(enableServiceAccount))
	g.GET(one+"/remove", k.signedIn(confirmRemove))
	g.POST(one+"/remove", k.signedIn(removeServiceAccount))
	k.mountGrants(g)
	k.mountSecrets(g)
	k.mountCredentials(g)
	k.mountSimulator(g)
	k.mountTokens(g)
}

// newClient is what the dialog of a new client shows once.
type newClient struct {
	ClientID, ClientSecret string
	Name, Done             string // what it is called, and where the dialog leads when it is closed
	Curl                   string
	Refused                string // why it gets no token if it asks for nothing in particular
}

func (k *Console) newCreated(clientID string, secret svcauth.Secret, name, done string) *newClient {
	return &newClient{
		ClientID:     clientID,
		ClientSecret: secret.Reveal(),
		Name:         name,
		Done:         done,
		Curl:         k.curl(clientID, secret),
	}
}

// curl returns a command that fetches a token. Ids, secrets and the issuer
// contain nothing that a shell would interpret.
func (k *Console) curl(clientID string, secret svcauth.Secret) string {
	return fmt.Sprintf("curl -u '%s:%s' \\\n  -d grant_type=client_credentials \\\n  %s/oauth2/token", clientID,
		secret.Reveal(), k.cfg.Issuer)
}

type accountsData struct {
	List   list[svcauth.ServiceAccount]
	Form   *form // of the dialog, where it is open
	Made   *newClient
	Manage bool
	APIs   []svcauth.API // of the catalogue, for the dialog
}

func (v *visit) accountsPage(status int, f *form, made *newClient) error {
	name := strings.TrimSpace(v.Query("q"))
	get := func(ctx context.Context, o svcauth.ListOptions) (svcauth.List[svcauth.ServiceAccount], error) {
		o.Name = name
		return v.k.cfg.Access.ServiceAccounts(ctx, o)
	}
	l, err := read(v, get, func(svcauth.ServiceAccount, string) bool { return true },
		column[svcauth.ServiceAccount]{"name", func(a svcauth.ServiceAccount) string { return a.Name }},
		column[svcauth.ServiceAccount]{"created", func(a svcauth.ServiceAccount) string {
			return sortable(&a.CreatedAt)
		}},
		column[svcauth.ServiceAccount]{"used", func(a svcauth.ServiceAccount) string { return sortable(a.LastUsedAt) }})
	if err != nil {
		return err
	}
	l.path = "/console/service-accounts"
	var apis []svcauth.API
	if f != nil {
		if apis, err = v.apis(); err != nil {
			return err
		}
	}
	return v.render(status, "serviceaccounts", page{Title: "Members", Nav: "members", Dialog: f != nil || made != nil,
		Data: accountsData{List: l, Form: f, Made: made, APIs: apis, Manage: v.actor.Has(svcauth.MembersManage)}})
}

// sortable writes a moment so that text order is time order; none comes first.
func sortable(t *time.Time) string {
	if t == nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000")
}

func serviceAccounts(v *visit) error { return v.accountsPage(http.StatusOK, nil, nil) }

func newServiceAccount(v *visit) error { return v.accountsPage(http.StatusOK, blank(), nil) }

// createServiceAccount shows the secret in its own answer, which nothing
// stores: neither the session nor the browser. A reload doesn't create the
// account again.
func createServiceAccount(v *visit) error {
	f := v.form()
	first, err := v.first()
	if err != nil {
		return err
	}
	if !first {
		return v.done("/console/service-accounts", "This form was sent before. A Client Secret is shown once; "+
			"if you have not saved it, open the service account and create another one on its Credentials tab.")
	}
	wants := svcauth.NewServiceAccount{
		Name: f.Value("name"), TokenBinding: f.Value("token_binding"), DefaultResource: f.Value("default_resource"),
		Caution: f.caution(),
	}
	if claims := f.accountClaims(); claims != nil {
		wants.Claims = *claims
	}
	if f.Value("no_secret") == "yes" {
		wants.Secret = new(false)
	}
	if len(f.Errors) > 0 {
		return v.accountsPage(f.status(), f, nil)
	}
	made, err := v.k.cfg.Access.CreateServiceAccount(v.ctx(), wants)
	if err != nil {
		if !f.refused(err, "name") {
			return err
		}
		return v.accountsPage(f.status(), f, nil)
	}
	if !wants.WithSecret() {
		return v.done("/console/service-accounts/"+made.ID+"/credentials",
			"%s is created, without a secret. Add a credential, so that it can prove itself.%s", made.Name,
			withoutDefault(made.DefaultRefused))
	}
	shown := v.k.newCreated(made.ClientID, made.ClientSecret, made.Name, "/console/service-accounts/"+made.ID)
	shown.Refused = withoutDefault(made.DefaultRefused)
	return v.accountsPage(http.StatusOK, nil, shown)
}

// accountData is a service account's page: its tabs and the open dialog.
type accountData struct {
	Account svcauth.ServiceAccount
	Tab     string
	Manage  bool
	Dialog  string // which one is open
	Form    *form
	Impact  access.Impact // what a dialog would break

	Grants     []svcauth.Grant
	Assignable []svcauth.Role
	Grant      svcauth.Grant // that a dialog is about
	Secrets    []svcauth.SecretInfo
	Secret     svcauth.SecretInfo // that a dialog is about
	Made       *newClient
	Tokens     list[svcauth.LiveToken]
	Hints      map[string]string // of secrets, by id
	Warnings   []svcauth.CredentialWarning
	Groups     []credentialGroup
	Kind       credentialKind // that a dialog is about
	Credential credential     // that a dialog is about
	Preset     presetForm     // of a new federated credential
	Trust      *trust         // that a dialog shows: just made, or again
	Refusals   []svcauth.Refusal
	Audits     bool          // whoever looks may look up requests
	APIs       []svcauth.API // of the catalogue, where its tokens are shown or changed
}

func (v *visit) account() (svcauth.ServiceAccount, error) {
	return v.k.cfg.Access.ServiceAccount(v.ctx(), v.Param("id"))
}

func (v *visit) accountPage(status int, d accountData) error {
	d.Manage = v.actor.Has(svcauth.MembersManage)
	if d.Tab == "" {
		d.Tab = "details"
	}
	if d.Manage && (d.Tab == "roles" || d.Tab == "credentials") && d.Dialog == "" {
		var err error
		if d.Warnings, err = v.k.cfg.Access.CredentialWarnings(v.ctx(), d.Account.ID); err != nil {
			return err
		}
	}
	if d.Tab == "details" {
		var err error
		if d.APIs, err = v.apis(); err != nil {
			return err
		}
	}
	return v.render(status, "serviceaccount", page{
		Title:  d.Account.Name,
		Nav:    "members",
		Parent: &link{"Service accounts", "/console/service-accounts"},
		Dialog: d.Dialog != "",
		Data:   d,
	})
}

func serviceAccount(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.accountPage(http.StatusOK, accountData{Account: a})
}

func accountForm(a svcauth.ServiceAccount) *form {
	return filled("name", a.Name, "description", a.Description, "ttl", strconv.Itoa(a.TokenTTLSeconds),
		"token_binding", a.TokenBinding, "default_resource", a.DefaultResource, "claims", claimsField(a.Claims),
		"version", strconv.FormatInt(a.Version, 10))
}

func editServiceAccount(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.accountPage(http.StatusOK, accountData{Account: a, Dialog: "edit", Form: accountForm(a)})
}

func saveServiceAccount(v *visit) error {
	f := v.form()
	name, description := f.Value("name"), f.Value("description")
	patch := svcauth.ServiceAccountPatch{Name: &name, Description: &description, Caution: f.caution()}
	ttl, err := strconv.Atoi(strings.TrimSpace(f.Value("ttl")))
	if err != nil {
		f.fail("ttl", "Expected a whole number of seconds.")
	}
	version, err := f.version()
	if err != nil {
		return err
	}
	a, err := v.account()
	if err != nil {
		return err
	}
	if ttl != a.TokenTTLSeconds {
		patch.TokenTTLSeconds = &ttl
	}
	if f.Value("token_binding") == "" { // a form of an older page
		f.Values.Set("token_binding", a.TokenBinding)
	}
	binding := f.Value("token_binding")
	patch.TokenBinding = &binding
	if f.Values.Has("default_resource") {
		patch.DefaultResource = new(f.Value("default_resource"))
	}
	patch.Claims = f.accountClaims()
	if len(f.Errors) == 0 {
		saved, err := v.k.cfg.Access.UpdateServiceAccount(v.ctx(), a.ID, version, patch)
		if err == nil {
			return v.done("/console/service-accounts/"+a.ID, "Saved.%s", withoutDefault(saved.DefaultRefused))
		}
		if stale(err) {
			if a, err = v.account(); err != nil {
				return err
			}
			if err := v.accountMoved(f, a); err != nil {
				return err
			}
			return v.accountPage(http.StatusConflict, accountData{Account: a, Dialog: "edit", Form: f})
		}
		if !f.refused(err, "name") {
			return err
		}
		f.rename("token_ttl_seconds", "ttl")
	}
	return v.accountPage(f.status(), accountData{Account: a, Dialog: "edit", Form: f})
}

// accountMoved says in words what somebody else has changed meanwhile.
func (v *visit) accountMoved(f *form, now svcauth.ServiceAccount) error {
	f.moved(accountForm(now))
	if theirs := f.Theirs["token_binding"]; theirs != "" {
		f.Theirs["token_binding"] = bindingLabel(theirs)
	}
	if f.Theirs["default_resource"] == "" {
		return nil
	}
	apis, err := v.apis()
	f.Theirs["default_resource"] = resourceLabel(apis, now.DefaultResource)
	return err
}

func confirmDisable(v *visit) error { return v.confirm("disable", "details") }
func confirmRemove(v *visit) error  { return v.confirm("remove", "details") }

// confirm shows what will break before it does.
func (v *visit) confirm(dialog, tab string) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	hit, err := v.k.cfg.Access.ServiceAccountImpact(v.ctx(), a.ID, "", "")
	if err != nil {
		return err
	}
	return v.accountPage(http.StatusOK, accountData{Account: a, Tab: tab, Dialog: dialog, Impact: hit})
}

func disableServiceAccount(v *visit) error {
	a, err := v.k.cfg.Access.UpdateServiceAccount(v.ctx(), v.Param("id"), 0, svcauth.ServiceAccountPatch{
		Disabled: new(true),
	})
	if err != nil {
		return err
	}
	return v.removed("/console/service-accounts/"+a.ID, "%s is disabled. Its tokens no longer work.", a.Name)
}

// enableServiceAccount asks first only if there is something to warn of.
func enableServiceAccount(v *visit) error {
	f, id := v.form(), v.Param("id")
	a, err := v.k.cfg.Access.UpdateServiceAccount(v.ctx(), id, 0, svcauth.ServiceAccountPatch{
		Disabled: new(false), Caution: f.caution(),
	})
	if err == nil {
		return v.done("/console/service-accounts/"+a.ID, "%s is enabled. It can fetch tokens again.%s", a.Name,
			withoutDefault(a.DefaultRefused))
	}
	if !f.refused(err, "") || len(f.Warnings) == 0 {
		return err
	}
	if a, err = v.account(); err != nil {
		return err
	}
	return v.accountPage(f.status(), accountData{Account: a, Dialog: "enable", Form: f})
}

func removeServiceAccount(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	if err := v.k.cfg.Access.DeleteServiceAccount(v.ctx(), a.ID); err != nil {
		return err
	}
	return v.removed("/console/service-accounts", "The service account %s is removed. Its tokens no longer work.",
		a.Name)
}
