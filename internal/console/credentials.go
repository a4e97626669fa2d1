package console

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// mountCredentials has the tab of a service account's credentials of all kinds.
// Secrets have pages of their own, see mountSecrets.
func (k *Console) mountCredentials(g *gin.RouterGroup) {
	const one = "/service-accounts/:id"
	g.GET(one+"/credentials", k.signedIn(credentialsTab))
	for _, kind := range credentialKinds {
		at := one + "/" + svcauth.CredentialPath(kind.kind)
		g.GET(at+"/new", k.signedIn(kind.dialog(newCredential)))
		g.POST(at+"/new", k.signedIn(kind.dialog(createCredential)))
		if kind.edit != nil {
			g.GET(at+"/:credential/edit", k.signedIn(kind.dialog(editCredential)))
			g.POST(at+"/:credential/edit", k.signedIn(kind.dialog(saveCredential)))
		}
		if kind.show != nil {
			g.GET(at+"/:credential/use", k.signedIn(kind.dialog(useCredential)))
		}
		g.GET(at+"/:credential/remove", k.signedIn(kind.dialog(confirmRemoveCredential)))
		g.POST(at+"/:credential/remove", k.signedIn(kind.dialog(removeCredential)))
	}
}

// credential is a credential of whichever kind, as its row shows it.
type credential struct {
	ID, Title   string
	Detail      []string // what it trusts, a line each
	Warnings    []string // by what others could come to have what it trusts
	Description string
	CreatedAt   time.Time
	CreatedBy   svcauth.Creator
	ExpiresAt   *time.Time
	LastUsedAt  *time.Time
}

// credentialKind is what the pages of a kind beside secrets have in common.
type credentialKind struct {
	kind, Title, About, Add string
	list                    func(*visit, string) ([]credential, error)
	create                  func(*visit, string, *form) (*trust, error)
	remove                  func(v *visit, id, credentialID string, revoke bool) error

	// edit fills the form in with what is there, and save changes it; nil: this
	// kind can't be changed. show returns what the other side needs; nil:
	// nothing.
	edit func(v *visit, id, credentialID string) (*form, error)
	save func(v *visit, id, credentialID string, f *form) error
	show func(v *visit, id, credentialID string) (*trust, error)
}

// CanEdit and CanShow are for the templates.
func (k credentialKind) CanEdit() bool { return k.edit != nil }

// CanShow reports whether there is something to put on the other side.
func (k credentialKind) CanShow() bool { return k.show != nil }

// Path returns where the kind's credentials are, behind their account's.
func (k credentialKind) Path() string { return svcauth.CredentialPath(k.kind) }

// Name returns what a sentence calls one of them.
func (k credentialKind) Name() string { return svcauth.CredentialName(k.kind) }

// dialog gives a page the kind that it is about.
func (k credentialKind) dialog(page func(*visit, credentialKind) error) func(*visit) error {
	return func(v *visit) error { return page(v, k) }
}

// credentialGroup is the credentials of one kind on the tab.
type credentialGroup struct {
	credentialKind
	Rows []credential
}

// credentialsPage shows the tab, with the dialog that d has open.
func (v *visit) credentialsPage(status int, d accountData) error {
	d.Tab, d.Secrets = "credentials", d.Account.Secrets
	for _, kind := range credentialKinds {
		rows, err := kind.list(v, d.Account.ID)
		if err != nil {
			return err
		}
		d.Groups = append(d.Groups, credentialGroup{kind, rows})
	}
	return v.accountPage(status, d)
}

func credentialsTab(v *visit) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	return v.credentialsPage(http.StatusOK, accountData{Account: a})
}

func newCredential(v *visit, kind credentialKind) error {
	a, err := v.account()
	if err != nil {
		return err
	}
	f := blank()
	f.Values.Set("preset", v.Query("preset"))
	return v.newCredentialPage(http.StatusOK, a, kind, f)
}

func createCredential(v *visit, kind credentialKind) error {
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
		return v.done(back, "This form was sent before.")
	}
	made, err := kind.create(v, a.ID, f)
	switch {
	case err == nil && made != nil:
		return v.credentialsPage(http.StatusOK, accountData{
			Account: a, Dialog: "federated-made", Kind: kind, Trust: made,
		})
	case err == nil && len(f.Errors) == 0:
		return v.done(back, "The %s is added.", kind.Name())
	}
	f.Values.Del("value") // it may be a private key, by mistake
	if err != nil && !f.shows(err, "value") {
		return err
	}
	return v.newCredentialPage(f.status(), a, kind, f)
}

// newCredentialPage shows the dialog for a new credential.
func (v *visit) newCredentialPage(status int, a svcauth.ServiceAccount, kind credentialKind, f *form) error {
	return v.credentialsPage(status, accountData{
		Account: a, Dialog: "new-" + kind.Path(), Kind: kind, Form: f, Preset: presetFormOf(f.Value("preset")),
	})
}

// shows reports whether the form shows why it was refused, or does so now: at
// the given field if the problem names none.
func (f *form) shows(err error, field string) bool {
	return len(f.Warnings) > 0 || len(f.Errors) > 0 || f.Problem != "" || f.refused(err, field)
}

func editCredential(v *visit, kind credentialKind) error {
	a, one, err := v.oneCredential(kind)
	if err != nil {
		return err
	}
	f, err := kind.edit(v, a.ID, one.ID)
	if err != nil {
		return err
	}
	return v.editCredentialPage(http.StatusOK, a, one, kind, f)
}

func (v *visit) editCredentialPage(
	status int, a svcauth.ServiceAccount, one credential, kind credentialKind, f *form,
) error {
	return v.credentialsPage(status, accountData{
		Account: a, Credential: one, Dialog: "edit-" + kind.Path(), Kind: kind, Form: f,
	})
}

func saveCredential(v *visit, kind credentialKind) error {
	f := v.form()
	a, one, err := v.oneCredential(kind)
	if err != nil {
		return err
	}
	err = kind.save(v, a.ID, one.ID, f)
	switch {
	case err == nil && len(f.Errors) == 0:
		return v.done("/console/service-accounts/"+a.ID+"/credentials", "Saved.")
	case err != nil && !f.shows(err, ""):
		return err
	}
	return v.editCredentialPage(f.status(), a, one, kind, f)
}

// useCredential shows again what the other side needs.
func useCredential(v *visit, kind credentialKind) error {
	a, one, err := v.oneCredential(kind)
	if err != nil {
		return err
	}
	shown, err := kind.show(v, a.ID, one.ID)
	if err != nil {
		return err
	}
	return v.credentialsPage(http.StatusOK, accountData{
		Account: a, Credential: one, Kind: kind, Dialog: "federated-made", Trust: shown,
	})
}

// oneCredential returns the account and the credential that the address names.
func (v *visit) oneCredential(kind credentialKind) (svcauth.ServiceAccount, credential, error) {
	a, err := v.account()
	if err != nil {
		return a, credential{}, err
	}
	all, err := kind.list(v, a.ID)
	if err != nil {
		return a, credential{}, err
	}
	for _, one := range all {
		if one.ID == v.Param("credential") {
			return a, one, nil
		}
	}
	return a, credential{}, svcauth.NewProblem(svcauth.CodeNotFound,
		"%s has no such %s any more. Somebody has removed it.", a.Name, kind.Name())
}

func confirmRemoveCredential(v *visit, kind credentialKind) error {
	a, one, err := v.oneCredential(kind)
	if err != nil {
		return err
	}
	hit, err := v.k.cfg.Access.ServiceAccountImpact(v.ctx(), a.ID, one.ID, "")
	if err != nil {
		return err
	}
	return v.credentialsPage(http.StatusOK, accountData{
		Account: a, Credential: one, Kind: kind, Dialog: "remove-credential", Impact: hit,
	})
}

func removeCredential(v *visit, kind credentialKind) error {
	id, credentialID := v.Param("id"), v.Param("credential")
	revoke := v.PostForm("revoke_tokens") == "yes"
	if err := kind.remove(v, id, credentialID, revoke); err != nil {
		return err
	}
	back := "/console/service-accounts/" + id + "/credentials"
	if revoke {
		return v.removed(back, "The %s is removed, and the tokens it obtained no longer work.", kind.Name())
	}
	return v.done(back, "The %s is removed. Tokens it obtained work until they expire.", kind.Name())
}

// Choices are how a certificate may be recognized: value and label.
func (k credentialKind) Choices() [][2]string {
	return [][2]string{
		{"certificate", "the certificate itself"}, {"subject_dn", "its subject"}, {"san_dns", "a DNS name"},
		{"san_uri", "a URI, such as a SPIFFE ID"}, {"san_ip", "an IP address"}, {"san_email", "a mail address"},
	}
}

// keyText reads a public key that was pasted: as PEM, or as a JWK.
func keyText(text string) (jwk json.RawMessage, pem string) {
	if text = strings.TrimSpace(text); strings.HasPrefix(text, "{") {
		return json.RawMessage(text), ""
	}
	return nil, text
}
