package console

import (
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// presetForm is what the dialog of a new federated credential asks for a
// preset, in the words of those who run such workloads.
type presetForm struct {
	Preset, Label, About string
	Fields               []presetField

	// fill writes what the fields say into the request.
	fill func(*form, *svcauth.NewFederatedCredential)
	// paste returns what the other side needs; nil: nothing to paste is known.
	paste func(pasted) *snippet
}

// presetField is one field of a [presetForm].
type presetField struct {
	Name, Label, Hint string
	Max               int
	Optional, Area    bool
	Choices           [][2]string // value and label; nil: a text
}

// presetFormOf returns the form of a preset. That of any other issuer has the
// policy itself.
func presetFormOf(preset string) presetForm {
	for _, make := range []func() presetForm{
		githubForm, gitlabForm, kubernetesForm, hcpTerraformForm, spiffeForm, awsForm, azureForm, googleForm,
	} {
		if one := make(); one.Preset == preset {
			return one
		}
	}
	return otherForm()
}

// presetNames are the presets as people call them: value and label.
func presetNames() (all [][2]string) {
	for _, one := range svcauth.FederatedPresets() {
		all = append(all, [2]string{one, presetFormOf(one).Label})
	}
	return all
}

var (
	issuerField = presetField{Name: "issuer", Label: "Issuer", Max: svcauth.MaxFederatedText}
	keySetField = presetField{Name: "jwks", Label: "Key set", Max: svcauth.MaxFederatedKeySet, Optional: true,
		Area: true}
)

func githubForm() presetForm {
	return presetForm{
		Preset: svcauth.PresetGitHub, Label: "GitHub Actions",
		About: "A job of one repository proves the account. Names can be taken over, so the ids decide.",
		Fields: []presetField{
			{Name: "repository", Label: "Repository", Max: 200, Hint: "owner/name, for the workflow that " +
				"you get next."},
			{Name: "repository_id", Label: "Repository id", Max: 32,
				Hint: "gh api repos/OWNER/NAME --jq .id, or the field id of api.github.com/repos/OWNER/NAME."},
			{Name: "repository_owner_id", Label: "Owner id", Max: 32,
				Hint: "gh api repos/OWNER/NAME --jq .owner.id, or owner.id of the same answer."},
			{Name: "environment", Label: "Environment", Max: 255, Optional: true,
				Hint: "One with reviewers or branch rules. Without it any workflow of the repository fits."},
			{Name: "ref", Label: "Branch or tag", Max: 255, Optional: true, Hint: "As refs/heads/main."},
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			f.claims(n, "repository_id", "repository_owner_id", "environment", "ref")
		},
		paste: pasteGitHub,
	}
}

func gitlabForm() presetForm {
	return presetForm{
		Preset: svcauth.PresetGitLab, Label: "GitLab CI",
		About: "A job of one project proves the account.",
		Fields: []presetField{
			{Name: "project_id", Label: "Project ID", Max: 32, Hint: "On the project’s page, in the menu " +
				"⋮: Copy project ID."},
			{Name: "ref_protected", Label: "Which branches and tags", Choices: [][2]string{
				{"true", "protected ones only"}, {"", "all: whoever may push one can prove this account"},
			}},
			{Name: "ref", Label: "Branch", Max: 255, Optional: true, Hint: "As main. Without one: each of those " +
				"above."},
			{Name: "environment", Label: "Environment", Max: 255, Optional: true, Hint: "As the job names it."},
			{Name: "issuer", Label: "Address of GitLab", Max: svcauth.MaxFederatedText, Optional: true,
				Hint: "Of your own instance. Without one: https://gitlab.com."},
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Issuer = f.trimmed("issuer")
			f.claims(n, "project_id", "ref_protected", "ref", "environment")
			if n.Claims["ref"] != "" {
				n.Claims["ref_type"] = "branch"
			}
		},
		paste: pasteGitLab,
	}
}

func kubernetesForm() presetForm {
	issuer, keys := issuerField, keySetField
	issuer.Label, issuer.Hint = "Issuer of the cluster", "The field issuer of kubectl get --raw "+
		"/.well-known/openid-configuration, to the letter."
	keys.Hint = "What kubectl get --raw /openid/v1/jwks says, if this server can’t reach the cluster."
	return presetForm{
		Preset: svcauth.PresetKubernetes, Label: "Kubernetes",
		About: "A pod that runs as one service account of the cluster proves this account.",
		Fields: []presetField{
			issuer,
			{Name: "namespace", Label: "Namespace", Max: 63},
			{Name: "service_account", Label: "Service account of the cluster", Max: 253},
			{Name: "uid", Label: "Its uid", Max: 64, Optional: true, Hint: "kubectl get serviceaccount NAME -n " +
				"NAMESPACE -o jsonpath={.metadata.uid}. It keeps out " +
				"another one that is made with the same name later."},
			keys,
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Issuer, n.JWKS = f.trimmed("issuer"), f.keySet()
			n.Subject = "system:serviceaccount:" + f.trimmed("namespace") + ":" + f.trimmed("service_account")
			if uid := f.trimmed("uid"); uid != "" {
				n.Claims["/kubernetes.io/serviceaccount/uid"] = uid
			}
		},
		paste: pasteKubernetes,
	}
}

func hcpTerraformForm() presetForm {
	return presetForm{
		Preset: svcauth.PresetHCPTerraform, Label: "HCP Terraform",
		About: "A run of one workspace proves the account.",
		Fields: []presetField{
			{Name: "organization", Label: "Organization", Max: 128, Hint: "Its name in HCP Terraform."},
			{Name: "project", Label: "Project", Max: 128, Hint: "Its name, such as Default Project."},
			{Name: "workspace", Label: "Workspace", Max: 128, Hint: "Its name."},
			{Name: "workspace_id", Label: "Workspace ID", Max: 64, Optional: true,
				Hint: "ws-…, on the workspace’s page. It keeps out another one that gets the same name later."},
			{Name: "run_phase", Label: "Run phase", Choices: [][2]string{
				{"apply", "apply only"}, {"plan", "plan only"}, {"", "plan and apply"},
			}, Hint: "Plans run for pull requests too: let them have an account of their own that may only read."},
			{Name: "issuer", Label: "Address of Terraform Enterprise", Max: svcauth.MaxFederatedText, Optional: true,
				Hint: "Without one: https://app.terraform.io."},
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Issuer = f.trimmed("issuer")
			for _, name := range []string{"organization", "project", "workspace"} {
				n.Claims["terraform_"+name+"_name"] = f.trimmed(name)
			}
			if id := f.trimmed("workspace_id"); id != "" {
				n.Claims["terraform_workspace_id"] = id
			}
			if phase := f.trimmed("run_phase"); phase != "" {
				n.Claims["terraform_run_phase"] = phase
				n.Subject = "organization:" + f.trimmed("organization") + ":project:" + f.trimmed("project") +
					":workspace:" + f.trimmed("workspace") + ":run_phase:" + phase
			}
		},
		paste: pasteHCPTerraform,
	}
}

func spiffeForm() presetForm {
	keys := keySetField
	keys.Label, keys.Hint = "Bundle", "The trust domain’s bundle itself, if this "+
		"server can’t fetch it. Give one of both."
	return presetForm{
		Preset: svcauth.PresetSPIFFE, Label: "SPIFFE",
		About: "A workload proves the account by its JWT-SVID.",
		Fields: []presetField{
			{Name: "spiffe_id", Label: "SPIFFE ID", Max: svcauth.MaxFederatedText,
				Hint: "As spiffe://example.org/ci/deployer."},
			{Name: "jwks_uri", Label: "Address of the bundle", Max: svcauth.MaxFederatedText, Optional: true,
				Hint: "The trust domain’s bundle endpoint, with https."},
			keys,
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Subject, n.JWKSURI, n.JWKS = f.trimmed("spiffe_id"), f.trimmed("jwks_uri"), f.keySet()
			if path, ok := strings.CutPrefix(n.Subject, "spiffe://"); ok {
				domain, _, _ := strings.Cut(path, "/")
				n.Issuer = "spiffe://" + domain
			} else {
				f.fail("spiffe_id", "Expected a SPIFFE ID: spiffe://, the trust domain and a path.")
			}
		},
		paste: pasteSPIFFE,
	}
}

func awsForm() presetForm {
	issuer := issuerField
	issuer.Label, issuer.Hint = "Issuer of the AWS account", "IAM’s account settings show it, once outbound "+
		"identity federation is on."
	return presetForm{
		Preset: svcauth.PresetAWS, Label: "AWS",
		About: "Whoever has one role of your AWS account proves this account.",
		Fields: []presetField{
			issuer,
			{Name: "subject", Label: "ARN of the role", Max: svcauth.MaxFederatedText,
				Hint: "As arn:aws:iam::123456789012:role/deployer."},
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Issuer, n.Subject = f.trimmed("issuer"), f.trimmed("subject")
		},
		paste: pasteAWS,
	}
}

func azureForm() presetForm {
	return presetForm{
		Preset: svcauth.PresetAzure, Label: "Azure",
		About: "A managed identity proves the account.",
		Fields: []presetField{
			{Name: "tenant_id", Label: "Tenant ID", Max: 64, Hint: "az account show --query tenantId"},
			{Name: "object_id", Label: "Object ID of the identity", Max: 64,
				Hint: "Its principal ID: az identity show … --query principalId"},
			{Name: "application", Label: "Application ID URI, or Application ID", Max: svcauth.MaxFederatedText,
				Hint: "Of an app registration that stands for this server: Azure makes tokens for those only. " +
					"Its URI, as api://svcauth, for tokens of version 1; its Application (client) ID for version 2."},
			{Name: "token_version", Label: "Version of its access tokens", Choices: [][2]string{
				{"1", "1 (the default)"}, {"2", "2"},
			}, Hint: "requestedAccessTokenVersion in the manifest of the app registration."},
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Subject, n.Audience = f.trimmed("object_id"), f.trimmed("application")
			n.Claims["oid"] = n.Subject
			n.Issuer = "https://sts.windows.net/" + f.trimmed("tenant_id") + "/"
			if f.trimmed("token_version") == "2" {
				n.Issuer = "https://login.microsoftonline.com/" + f.trimmed("tenant_id") + "/v2.0"
			}
		},
		paste: pasteAzure,
	}
}

func googleForm() presetForm {
	return presetForm{
		Preset: svcauth.PresetGoogle, Label: "Google Cloud",
		About: "A workload that runs as one service account of Google Cloud proves this account.",
		Fields: []presetField{
			{Name: "subject", Label: "Unique ID of the service account", Max: 64,
				Hint: "A number: gcloud iam service-accounts describe EMAIL --format='value(uniqueId)'"},
		},
		fill:  func(f *form, n *svcauth.NewFederatedCredential) { n.Subject = f.trimmed("subject") },
		paste: pasteGoogle,
	}
}

func otherForm() presetForm {
	issuer, keys := issuerField, keySetField
	issuer.Hint = "The iss of its tokens, to the letter."
	keys.Hint = "If it has no address that this server can reach."
	return presetForm{
		Label: "Any other issuer",
		About: "Each of its tokens that has exactly these values proves the account.",
		Fields: []presetField{
			issuer,
			{Name: "subject", Label: "Subject", Max: svcauth.MaxFederatedText, Optional: true,
				Hint: "The sub of its tokens, to the letter. Without one an id must be among the claims."},
			{Name: "jwks_uri", Label: "Address of its keys", Max: svcauth.MaxFederatedText, Optional: true,
				Hint: "If it has no OpenID discovery."},
			keys,
		},
		fill: func(f *form, n *svcauth.NewFederatedCredential) {
			n.Issuer, n.Subject = f.trimmed("issuer"), f.trimmed("subject")
			n.JWKSURI, n.JWKS = f.trimmed("jwks_uri"), f.keySet()
		},
	}
}
