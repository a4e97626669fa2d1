package console_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/pkg/svcauth"
)

// policy is what a preset's form is to make.
type policy struct {
	issuer, subject, audience string
	claims                    map[string]string
}

// presetCase is a form as somebody fills it in.
type presetCase struct {
	preset string
	fields url.Values
	made   policy
	paste  string // part of what the other side is given
	warns  string // part of what is to be confirmed first; empty: nothing
}

func presetCases() map[string]presetCase {
	return map[string]presetCase{
		"github": {svcauth.PresetGitHub, url.Values{
			"repository": {"acme/app"}, "repository_id": {"7"}, "repository_owner_id": {"3"}, "ref": {
				"refs/heads/main"},
		}, policy{"https://token.actions.githubusercontent.com", "", "", map[string]string{
			"repository_id": "7", "repository_owner_id": "3", "ref": "refs/heads/main",
		}}, "deploy.yml of acme/app", "add the claim environment"},
		"gitlab": {svcauth.PresetGitLab, url.Values{
			"project_id": {"22"}, "ref_protected": {"true"}, "ref": {"main"}, "environment": {"production"},
		}, policy{"https://gitlab.com", "", "", map[string]string{
			"project_id": "22", "ref_protected": "true", "ref": "main", "ref_type": "branch",
			"environment": "production",
		}}, "SVCAUTH_ASSERTION_ENV: SVCAUTH_TOKEN", ""},
		"gitlab, any branch": {svcauth.PresetGitLab, url.Values{
			"project_id": {"22"}, "issuer": {"https://git.example.com"},
		}, policy{"https://git.example.com", "", "", map[string]string{"project_id": "22"}}, "id_tokens:",
			"Whoever may push a branch"},
		"kubernetes": {svcauth.PresetKubernetes, url.Values{
			"issuer": {"https://cluster.example.com"}, "namespace": {" shop "}, "service_account": {"checkout"},
			"uid": {"u-1"},
		}, policy{"https://cluster.example.com", "system:serviceaccount:shop:checkout", "", map[string]string{
			"/kubernetes.io/serviceaccount/uid": "u-1",
		}}, "serviceAccountName: checkout", ""},
		"hcp-terraform": {svcauth.PresetHCPTerraform, url.Values{
			"organization": {"acme"}, "project": {"Default Project"}, "workspace": {"network"}, "workspace_id": {
				"ws-1"},
			"run_phase": {"apply"},
		}, policy{"https://app.terraform.io",
			"organization:acme:project:Default Project:workspace:network:run_phase:apply", "", map[string]string{
				"terraform_organization_name": "acme", "terraform_project_name": "Default Project",
				"terraform_workspace_name": "network", "terraform_workspace_id": "ws-1",
				"terraform_run_phase": "apply",
			}}, "TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH", ""},
		"spiffe": {svcauth.PresetSPIFFE, url.Values{
			"spiffe_id": {"spiffe://example.org/ci"}, "jwks_uri": {"https://spire.example.org/bundle"},
		}, policy{"spiffe://example.org", "spiffe://example.org/ci", "", map[string]string{}},
			"SVCAUTH_ASSERTION_TYPE=jwt-spiffe", ""},
		"aws": {svcauth.PresetAWS, url.Values{
			"issuer": {"https://x.tokens.sts.global.api.aws"}, "subject": {"arn:aws:iam::123456789012:role/deployer"},
		}, policy{"https://x.tokens.sts.global.api.aws", "arn:aws:iam::123456789012:role/deployer", "",
			map[string]string{}},
			"aws sts get-web-identity-token", ""},
		"azure": {svcauth.PresetAzure, url.Values{
			"tenant_id": {"t-1"}, "object_id": {"o-1"}, "application": {"api://svcauth"}, "token_version": {"1"},
		}, policy{"https://sts.windows.net/t-1/", "o-1", "api://svcauth", map[string]string{"oid": "o-1"}},
			"resource=api%3A%2F%2Fsvcauth", "tokens that were meant for somebody else"},
		"azure, version 2": {svcauth.PresetAzure, url.Values{
			"tenant_id": {"t-1"}, "object_id": {"o-1"}, "application": {azureApplication}, "token_version": {"2"},
		}, policy{"https://login.microsoftonline.com/t-1/v2.0", "o-1", azureApplication,
			map[string]string{"oid": "o-1"}},
			"resource=" + azureApplication, "tokens that were meant for somebody else"},
		"google": {svcauth.PresetGoogle, url.Values{"subject": {"1234"}},
			policy{"https://accounts.google.com", "1234", "", map[string]string{}}, "metadata.google.internal", ""},
		"any other": {"", url.Values{
			"issuer": {"https://issuer.example.com"}, "subject": {"ci"}, "claims": {"team=platform\r\n"},
		}, policy{"https://issuer.example.com", "ci", "", map[string]string{"team": "platform"}}, "", ""},
	}
}

const azureApplication = "2ff814a6-3304-4ab8-85cb-cd0e6f879c1d"

// TestPresetsMakeWhatTheirWordsSay fills each preset's form in, confirms what
// there is to warn of, and reads what was made.
func TestPresetsMakeWhatTheirWordsSay(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	for name, c := range presetCases() {
		account := s.Account("of " + name)
		at := "/console/service-accounts/" + account.ID + "/federated-credentials/"
		made := func() []svcauth.FederatedCredential {
			list, err := s.Admin().FederatedCredentials(t.Context(), account.ID)
			require.NoError(t, err)
			return list.Items
		}
		c.fields.Set("preset", c.preset)
		c.fields.Set("name", "deploy")
		c.fields.Set("once", p.field(at+"new?preset="+c.preset, onceField))
		a := p.post(at+"new", c.fields)
		if c.warns != "" {
			require.Equal(t, http.StatusUnprocessableEntity, a.status, name)
			require.Contains(t, a.body, c.warns, name)
			require.Contains(t, a.body, "Do it nevertheless", name)
			require.Empty(t, made(), "%s: nothing is made before it is confirmed", name)
			c.fields.Set("confirm", "yes")
			c.fields.Set("once", onceField.FindStringSubmatch(a.body)[1])
			a = p.post(at+"new", c.fields)
		}
		require.Equal(t, http.StatusOK, a.status, "%s: %s", name, a.body)
		require.Len(t, made(), 1, name)
		one := made()[0]
		if c.made.audience == "" {
			c.made.audience = s.URL
		}
		require.Equal(t, c.made, policy{one.Issuer, one.Subject, one.Audience, one.Claims}, name)
		require.Contains(t, a.body, c.paste, name)
		require.Contains(t, p.get(at+one.ID+"/use").body, strings.TrimSuffix(c.paste, " of acme/app"),
			"%s: again later", name)
	}
}

// TestFormsOfCredentialsSayWhatIsMissing checks that a wrong form names the
// field in one sentence and comes back as it was sent.
func TestFormsOfCredentialsSayWhatIsMissing(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	p := admin(t, s)
	at := "/console/service-accounts/" + s.Account("ci").ID
	const private = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIA==\n-----END PRIVATE KEY-----"
	for name, c := range map[string]struct {
		path   string
		fields url.Values
		says   []string
	}{
		"no key": {"/keys/new", url.Values{"value": {"hello"}}, []string{
			"Refused: text that is no PEM of one key: expected -----BEGIN PUBLIC KEY-----, and nothing else",
		}},
		"neither": {"/keys/new", url.Values{}, []string{"Give the public key, or the address of its keys"}},
		"both": {"/keys/new", url.Values{"value": {"x"}, "jwks_uri": {"https://ci.example.com/keys.json"}}, []string{
			"one of them.",
		}},
		"an address without https": {"/keys/new", url.Values{"jwks_uri": {"http://ci.example.com/keys.json"}}, []string{
			"https", `id="jwks_uri-wrong"`,
		}},
		"a private key": {"/keys/new", url.Values{"value": {private}}, []string{"Refused: a private key"}},
		"a private JWK": {"/keys/new", url.Values{
			"value": {`{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","d":"AAAA"}`},
		}, []string{"with the member d"}},
		"no certificate": {"/certificates/new", url.Values{"by": {"certificate"}, "value": {"hello"}}, []string{
			"Refused: it holds no certificate in PEM",
		}},
		"no address": {"/certificates/new", url.Values{"by": {"san_ip"}, "value": {"hello"}}, []string{
			"is no IP address",
		}},
		"no namespace": {"/federated-credentials/new", url.Values{
			"preset": {"kubernetes"}, "name": {"a"}, "issuer": {"https://c.example.com"}, "service_account": {"ci"},
		}, []string{"Namespace is missing.", `value="https://c.example.com"`}},
		"no JSON": {"/federated-credentials/new", url.Values{
			"preset": {"kubernetes"}, "name": {"a"}, "issuer": {"https://c.example.com"}, "service_account": {"ci"},
			"namespace": {"n"}, "jwks": {"hello"},
		}, []string{"Expected JSON: an object that begins with {"}},
		"an asterisk": {"/federated-credentials/new", url.Values{
			"preset": {"google"}, "name": {"a"}, "subject": {"1*"},
		}, []string{"aria-invalid"}},
		"the issuer of a trust domain": {"/federated-credentials/new", url.Values{
			"preset": {"spiffe"}, "name": {"a"}, "spiffe_id": {"spiffe://EXAMPLE.org/ci"},
		}, []string{`role="alert"`, "in lower case"}},
		"a URI for tokens of version 2": {"/federated-credentials/new", url.Values{
			"preset": {"azure"}, "name": {"a"}, "tenant_id": {"t"}, "object_id": {"o"}, "token_version": {"2"},
			"application": {"api://svcauth"},
		}, []string{"never its URI", `id="application-wrong"`}},
		"a number": {"/federated-credentials/new", url.Values{
			"preset": {"google"}, "name": {"a"}, "subject": {"1"}, "token_ttl_seconds": {"soon"},
		}, []string{"Expected a whole number of seconds.", "<details class=\"field\" open>"}},
		"no name": {"/federated-credentials/new", url.Values{"preset": {"google"}, "subject": {"1"}}, []string{
			"aria-invalid",
		}},
	} {
		c.fields.Set("once", p.field(at+c.path, onceField))
		a := p.post(at+c.path, c.fields)
		require.Equal(t, http.StatusUnprocessableEntity, a.status, name)
		for _, text := range c.says {
			require.Contains(t, a.body, text, name)
		}
		require.NotContains(t, a.body, "MC4CAQAwBQYDK2VwBCIEIA", "a private key is not shown again")
		require.NotContains(t, a.body, "AAAA", "a private key is not shown again")
	}
}

// TestEditingAFederatedCredentialWarnsOfThePolicyAlone checks that a new
// description needs no confirmation, and a wider policy does.
func TestEditingAFederatedCredentialWarnsOfThePolicyAlone(t *testing.T) {
	s := svctest.New(t, svctest.Options{})
	f := furnish(t, s, "")
	p := admin(t, s)
	edit := "/console/service-accounts/" + f.account.ID + "/federated-credentials/" + f.federated.ID + "/edit"
	form := url.Values{
		"name": {"deploy"}, "description": {"another"}, "issuer": {f.federated.Issuer},
		"subject": {f.federated.Subject},
		"claims":  {""}, "max_age_seconds": {"3600"},
	}
	require.Equal(t, http.StatusSeeOther, p.post(edit, form).status)
	form.Set("subject", "repo:acme/app:ref:refs/heads/main")
	form.Set("privileges", "clusters:view, billing:view")
	form.Set("token_ttl_seconds", "900")
	a := p.post(edit, form)
	require.Equal(t, http.StatusUnprocessableEntity, a.status)
	require.Contains(t, a.body, "Do it nevertheless")
	read := func() svcauth.FederatedCredential {
		now, err := s.Admin().FederatedCredential(t.Context(), f.account.ID, f.federated.ID)
		require.NoError(t, err)
		return now
	}
	require.Equal(t, f.federated.Subject, read().Subject)
	form.Set("confirm", "yes")
	require.Equal(t, http.StatusSeeOther, p.post(edit, form).status)
	now := read()
	require.Equal(t, "another", now.Description)
	require.Equal(t, []string{"billing:view", "clusters:view"}, now.Privileges)
	require.Equal(t, 900, now.TTLSeconds)
	tab := p.get("/console/service-accounts/" + f.account.ID + "/credentials").body // who may only read sees it, too
	require.Contains(t, tab, "at most the privileges billing:view, clusters:view")
	require.Contains(t, tab, "tokens that are got by it live 15m")
	form.Set("privileges", "")
	form.Set("max_age_seconds", "")
	form.Set("name", "")
	require.Equal(t, http.StatusUnprocessableEntity, p.post(edit, form).status)
	form.Set("name", "deploy")
	require.Equal(t, http.StatusSeeOther, p.post(edit, form).status)
	require.Nil(t, read().Privileges)
	require.Equal(t, 3600, read().MaxAge)
	require.Equal(t, http.StatusNotFound, p.get(strings.Replace(edit, "federated-credentials", "certificates",
		1)).status)
}
