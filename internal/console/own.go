package console

import (
	"net/http"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/internal/access"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountOwn(g *gin.RouterGroup) {
	g.GET("/application-keys", k.signedIn(applicationKeys))
	g.POST("/application-keys", k.signedIn(createApplicationKey))
	g.GET("/application-keys/new", k.signedIn(newApplicationKey))
	g.GET("/application-keys/:id/delete", k.signedIn(confirmDeleteKey))
	g.POST("/application-keys/:id/delete", k.signedIn(deleteApplicationKey))
	g.GET("/profile", k.signedIn(profile))
	g.POST("/profile", k.signedIn(saveProfile))
	g.POST("/profile/password", k.signedIn(changePassword))
	g.POST("/profile/sign-out-everywhere", k.signedIn(signOutEverywhere))
}

type keysData struct {
	List   list[svcauth.ApplicationKey]
	Form   *form
	Made   *newClient
	Delete *svcauth.ApplicationKey // that the dialog asks about
	Impact access.Impact           // what that would break
}

func (v *visit) keysPage(status int, d keysData) (err error) {
	d.List, err = read(v, v.k.cfg.Access.ApplicationKeys, func(k svcauth.ApplicationKey, q string) bool {
		return contains(q, k.Description, k.ClientID)
	},
		column[svcauth.ApplicationKey]{"description", func(k svcauth.ApplicationKey) string { return k.Description }},
		column[svcauth.ApplicationKey]{"created", func(k svcauth.ApplicationKey) string {
			return sortable(&k.CreatedAt)
		}},
		column[svcauth.ApplicationKey]{"used", func(k svcauth.ApplicationKey) string { return sortable(k.LastUsedAt) }})
	if err != nil {
		return err
	}
	d.List.path = "/console/application-keys"
	return v.render(status, "applicationkeys", page{
		Title:  "Application keys",
		Nav:    "application-keys",
		Dialog: d.Form != nil || d.Made != nil || d.Delete != nil,
		Data:   d,
	})
}

func applicationKeys(v *visit) error   { return v.keysPage(http.StatusOK, keysData{}) }
func newApplicationKey(v *visit) error { return v.keysPage(http.StatusOK, keysData{Form: blank()}) }

func createApplicationKey(v *visit) error {
	f := v.form()
	first, err := v.first()
	if err != nil {
		return err
	}
	if !first {
		return v.done("/console/application-keys", "This form was sent before. A Client Secret is shown once; "+
			"if you have not saved it, remove the key and create another one.")
	}
	made, err := v.k.cfg.Access.CreateApplicationKey(v.ctx(), svcauth.NewApplicationKey{
		Description: f.Value("description"), Caution: f.caution(),
	})
	if err != nil {
		if !f.refused(err, "") {
			return err
		}
		return v.keysPage(f.status(), keysData{Form: f})
	}
	shown := v.k.newCreated(made.ClientID, made.ClientSecret, made.Description, "/console/application-keys")
	shown.Refused = withoutDefault(made.DefaultRefused)
	return v.keysPage(http.StatusOK, keysData{Made: shown})
}

func confirmDeleteKey(v *visit) error {
	key, err := v.k.cfg.Access.ApplicationKey(v.ctx(), v.Param("id"))
	if err != nil {
		return err
	}
	hit, err := v.k.cfg.Access.ApplicationKeyImpact(v.ctx(), key.ID)
	if err != nil {
		return err
	}
	return v.keysPage(http.StatusOK, keysData{Delete: &key, Impact: hit})
}

func deleteApplicationKey(v *visit) error {
	if err := v.k.cfg.Access.DeleteApplicationKey(v.ctx(), v.Param("id")); err != nil {
		return err
	}
	return v.removed("/console/application-keys", "The application key is removed. Its tokens no longer work.")
}

type profileData struct {
	Me             svcauth.Me
	Form, Password *form
	Refused        []svcauth.AuditEvent // failed sign-ins, the newest
	NoPassword     bool                 // the organization takes none
}

func (v *visit) profilePage(status int, f, password *form) error {
	me, err := v.k.cfg.Access.Me(v.ctx())
	if err != nil {
		return err
	}
	if f == nil {
		f = filled("first_name", v.member.FirstName, "last_name", v.member.LastName)
	}
	if password == nil {
		password = blank()
	}
	failed, err := v.k.cfg.People.RefusedSignIns(v.ctx(), v.member.ID)
	if err != nil {
		return err
	}
	takesPasswords, err := v.k.cfg.People.TakesPasswords(v.ctx())
	if err != nil {
		return err
	}
	return v.render(status, "profile", page{
		Title: "Profile",
		Nav:   "profile",
		Data:  profileData{me, f, password, failed, !takesPasswords},
	})
}

func profile(v *visit) error { return v.profilePage(http.StatusOK, nil, nil) }

func saveProfile(v *visit) error {
	f := v.form()
	if _, err := v.k.cfg.People.UpdateProfile(v.ctx(), f.Value("first_name"), f.Value("last_name")); err != nil {
		if !f.refused(err, "") {
			return err
		}
		return v.profilePage(f.status(), f, nil)
	}
	return v.done("/console/profile", "Saved.")
}

func changePassword(v *visit) error {
	f := v.form()
	current, next, repeated := f.Value("current_password"), f.Value("password"), f.Value("repeat")
	f.Values = nil
	if next != repeated {
		f.fail("repeat", "The two passwords differ. Type the same one twice.")
		return v.profilePage(f.status(), nil, f)
	}
	if err := v.k.cfg.People.ChangePassword(v.ctx(), svcauth.Secret(current), svcauth.Secret(next)); err != nil {
		if !f.refused(err, "") {
			return err
		}
		return v.profilePage(f.status(), nil, f)
	}
	return v.leave("Your password is changed, and all your sessions and application keys have ended. " +
		"Sign in with the new one.")
}

func signOutEverywhere(v *visit) error {
	if err := v.k.cfg.People.SignOutEverywhere(v.ctx()); err != nil {
		return err
	}
	return v.leave("You are signed out everywhere.")
}

// leave ends this session and shows the reason on the sign-in page.
func (v *visit) leave(message string) error {
	s := v.k.sessions
	if err := s.Clear(v.ctx()); err != nil {
		return err
	}
	if err := s.RenewToken(v.ctx()); err != nil {
		return err
	}
	return v.done("/console/sign-in", "%s", message)
}
