package console

import (
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/gin-gonic/gin"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func (k *Console) mountSimulator(g *gin.RouterGroup) {
	g.GET("/trust-simulator", k.signedIn(simulator))
	g.POST("/trust-simulator", k.signedIn(simulate))
}

// simulatorData is the page that tries a token of another issuer.
type simulatorData struct {
	Form   *form
	Tried  bool
	Result svcauth.FederatedTestResult
}

// Meaning returns what a rule is about, for who has not met it before.
func (simulatorData) Meaning(rule string) string {
	return map[string]string{
		"issuer":     "Who made the token: its iss.",
		"subject":    "Whom the token is about: its sub.",
		"claims":     "What else the token must say.",
		"audience":   "Whom the token is for: its aud. Have the issuer make it for this server.",
		"expiry":     "The token has ended, or has no end: get a new one.",
		"not_before": "The token is not valid yet: compare the clocks.",
		"age":        "The token is older than the credential takes: get a new one.",
		"one_time":   "Each token works once: this one has no jti, or was used before.",
		"type":       "The typ in the token’s header is of another kind of token.",
		"algorithm":  "The alg in the token’s header is not among those of the credential.",
		"key":        "The issuer’s keys could not be had, or none fits the token’s kid.",
		"signature":  "No key of the issuer has signed the token.",
	}[rule]
}

func (v *visit) simulatorPage(status int, d simulatorData) error {
	return v.render(status, "simulator", page{Title: "Trust simulator", Nav: "trust-simulator", Data: d})
}

// simulator shows the form, with the claims of an example where one was chosen.
func simulator(v *visit) error {
	f := filled("account", v.Query("account"), "example", v.Query("example"))
	if preset := v.Query("example"); preset != "" {
		if claims := exampleClaims(preset, v.k.cfg.Issuer, v.k.cfg.Clock()); claims != nil {
			text, _ := json.MarshalIndent(claims, "", "  ")
			f.Values.Set("token", string(text))
		}
	}
	return v.simulatorPage(http.StatusOK, simulatorData{Form: f})
}

// exampleLife is how long the token of an example lives.
const exampleLife = 5 * time.Minute

// exampleClaims returns what a token of a preset's issuer says; nil: there is
// no such preset.
func exampleClaims(preset, own string, now time.Time) map[string]any {
	of := map[string]map[string]any{
		svcauth.PresetGitHub: {
			"iss": "https://token.actions.githubusercontent.com", "sub": "repo:acme/app:environment:production",
			"repository": "acme/app", "repository_id": "74", "repository_owner_id": "65",
			"environment": "production", "ref": "refs/heads/main", "event_name": "push",
		},
		svcauth.PresetGitLab: {
			"iss": "https://gitlab.com", "sub": "project_path:acme/app:ref_type:branch:ref:main", "project_id": "22",
			"namespace_id": "72", "ref": "main", "ref_type": "branch", "ref_protected": "true",
			"environment": "production",
		},
		svcauth.PresetKubernetes: {
			"iss": "https://kubernetes.default.svc.cluster.local", "sub": "system:serviceaccount:shop:checkout",
			"kubernetes.io": map[string]any{"namespace": "shop", "serviceaccount": map[string]string{
				"name": "checkout", "uid": "2f3f8b9e-5a0f-4a53-9a57-1d2f4c1f6d11",
			}},
		},
		svcauth.PresetHCPTerraform: {
			"iss": "https://app.terraform.io", "sub": "organization:acme:project:Default Project:workspace:network:" +
				"run_phase:apply", "terraform_organization_name": "acme", "terraform_project_name": "Default Project",
			"terraform_workspace_name": "network", "terraform_workspace_id": "ws-mbsd5E3Ktt5Rg2Xm",
			"terraform_run_phase": "apply",
		},
		svcauth.PresetSPIFFE: {"sub": "spiffe://example.org/ci/deployer"},
		svcauth.PresetAWS: {
			"iss": "https://00000000-0000-0000-0000-000000000000.tokens.sts.global.api.aws",
			"sub": "arn:aws:iam::123456789012:role/deployer",
		},
		svcauth.PresetAzure: {
			"iss": "https://sts.windows.net/TENANT-ID/", "sub": "OBJECT-ID", "oid": "OBJECT-ID",
		},
		svcauth.PresetGoogle: {"iss": "https://accounts.google.com", "sub": "112233445566778899000"},
	}[preset]
	if of != nil {
		of["aud"], of["iat"], of["exp"] = own, now.Unix(), now.Add(exampleLife).Unix()
	}
	return of
}

// simulate tries the token. It is not shown again, and nothing keeps it. Claims
// stay: they are for changing and trying again.
func simulate(v *visit) error {
	f := v.form()
	d := simulatorData{Form: f}
	text := f.trimmed("token")
	test := svcauth.FederatedTest{ClientID: f.trimmed("account"), Assertion: text}
	if strings.HasPrefix(text, "{") {
		test.Assertion, test.Claims = "", json.RawMessage(text)
	} else {
		f.Values.Del("token")
	}
	result, err := v.k.cfg.Token.TestFederated(v.ctx(), test)
	if err != nil {
		var p *svcauth.Problem
		if errors.As(err, &p) && p.Code == svcauth.CodeNotFound {
			f.fail("account", "There is no such service account: expected its Client ID, sa_…, or nothing for all.")
			return v.simulatorPage(f.status(), d)
		}
		if !f.refused(err, "token") {
			return err
		}
		for _, name := range []string{"assertion", "claims", "body", "client_id"} {
			f.rename(name, "token")
		}
		return v.simulatorPage(f.status(), d)
	}
	d.Tried, d.Result = true, result
	return v.simulatorPage(http.StatusOK, d)
}
