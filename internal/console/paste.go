package console

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// snippet is what somebody puts on the other side, so that a workload there
// sends its token: no secret is in it.
type snippet struct{ Title, About, Text string }

// pasted is what a snippet is made of.
type pasted struct {
	issuer, account string // this server, and the client id
	made            svcauth.FederatedCredential
	repository      string // of GitHub, as its form was filled in; empty: not at hand
}

// environment returns the two variables that each snippet sets.
func (p pasted) environment(line string) string {
	return fmt.Sprintf(line, "SVCAUTH_URL", p.issuer) + fmt.Sprintf(line, "SVCAUTH_CLIENT_ID", p.account)
}

// plain is a text that means itself in a shell and in HCL, and in YAML unless
// it is notText.
var plain = regexp.MustCompile(`^[A-Za-z0-9/][A-Za-z0-9:/._-]*[A-Za-z0-9/]$`)

// notText is what YAML 1.1 or 1.2 may read as a number, a time or a truth
// value.
var notText = regexp.MustCompile(`(?i)^([0-9].*|y|n|yes|no|on|off|true|false|null)$`)

// yamlText writes a text for YAML, where a string of JSON means the same.
func yamlText(text string) string {
	if plain.MatchString(text) && !notText.MatchString(text) {
		return text
	}
	quoted, _ := json.Marshal(text)
	return string(quoted)
}

// shellText writes a text as one word of a shell, in which nothing is replaced.
func shellText(text string) string {
	if plain.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

func pasteGitHub(p pasted) *snippet {
	repository, _, _ := strings.Cut(strings.TrimPrefix(p.made.Subject, "repo:"), ":")
	_, named, _ := strings.Cut(p.made.Subject, ":environment:")
	environment, audience := "", ""
	if name := cmp.Or(p.made.Claims["environment"], named); name != "" {
		environment = "    environment: " + yamlText(name) + "\n"
	}
	if p.made.Audience != p.issuer {
		audience = "      SVCAUTH_ASSERTION_AUDIENCE: " + yamlText(p.made.Audience) + "\n"
	}
	return &snippet{
		Title: "The workflow",
		About: "Put this into .github/workflows/deploy.yml of " + cmp.Or(p.repository, repository,
			"the repository") + ".",
		Text: `on:
  push:
    branches: [main]
permissions:
  id-token: write
  contents: read
jobs:
  deploy:
    runs-on: ubuntu-latest
` + environment + "    env:\n" + p.environment("      %s: %s\n") + audience + `    steps:
` + githubStep + `      - name: Call an API with it
        run: |
          curl -sSf -H "Authorization: Bearer $TOKEN" https://api.cloud.example/clusters
`,
	}
}

// githubStep fetches a token with what each runner has, and hides it from the
// job's log.
const githubStep = `      - name: Fetch a token
        shell: bash
        run: |
          assertion=$(curl -sSf -G -H "Authorization: Bearer $ACTIONS_ID_TOKEN_REQUEST_TOKEN" \
            --data-urlencode "audience=${SVCAUTH_ASSERTION_AUDIENCE:-$SVCAUTH_URL}" \
            "$ACTIONS_ID_TOKEN_REQUEST_URL" | jq -er .value)
          echo "::add-mask::$assertion"
          answer=$(curl -sS --fail-with-body "$SVCAUTH_URL/oauth2/token" \
            -d grant_type=client_credentials -d "client_id=$SVCAUTH_CLIENT_ID" \
            -d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
            -d "client_assertion=$assertion") || { echo "$answer"; exit 1; }
          token=$(jq -er .access_token <<<"$answer")
          echo "::add-mask::$token"
          echo "TOKEN=$token" >> "$GITHUB_ENV"
`

func pasteGitLab(p pasted) *snippet {
	environment := ""
	if name := p.made.Claims["environment"]; name != "" {
		environment = "  environment: " + yamlText(name) + "\n"
	}
	return &snippet{
		Title: "The job",
		About: "The command line, svcauth, must be in the job’s image. Put this into .gitlab-ci.yml of the project.",
		Text: "deploy:\n" + environment + "  id_tokens:\n    SVCAUTH_TOKEN:\n      aud: " +
			yamlText(p.made.Audience) +
			"\n  variables:\n" + p.environment("    %s: %s\n") + "    SVCAUTH_ASSERTION_ENV: SVCAUTH_TOKEN\n" +
			"  script:\n    - |\n      TOKEN=$(svcauth token)\n" +
			"      curl -sSf -H \"Authorization: Bearer $TOKEN\" https://api.cloud.example/clusters\n",
	}
}

func pasteKubernetes(p pasted) *snippet {
	parts := strings.Split(p.made.Subject, ":") // system:serviceaccount:NAMESPACE:NAME
	name := parts[len(parts)-1]
	return &snippet{
		Title: "The pod", About: "Put this into the template of the Deployment, in the namespace of " + name + ".",
		Text: "spec:\n  serviceAccountName: " + yamlText(name) + `
  containers:
    - name: main
      env:
` + p.environment("        - name: %s\n          value: %s\n") + `        - name: SVCAUTH_ASSERTION_FILE
          value: /var/run/secrets/svcauth/token
      volumeMounts:
        - name: svcauth
          mountPath: /var/run/secrets/svcauth
          readOnly: true
  volumes:
    - name: svcauth
      projected:
        sources:
          - serviceAccountToken:
              path: token
              audience: ` + yamlText(p.made.Audience) + `
              expirationSeconds: 3600
`,
	}
}

func pasteHCPTerraform(p pasted) *snippet {
	return &snippet{
		Title: "The workspace", About: "Set the variable in the workspace, " +
			"as an environment variable; the provider " +
			"finds the run’s token by itself.",
		Text: fmt.Sprintf("# TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH = %s\n\nprovider \"svcauth\" {\n"+
			"  url       = %q\n"+
			"  client_id = %q\n}\n", p.made.Audience, p.issuer, p.account),
	}
}

func pasteSPIFFE(p pasted) *snippet {
	return &snippet{
		Title: "The workload", About: "Have SPIFFE’s helper write a JWT-SVID for the audience " + p.made.Audience +
			" into a file, and name that:",
		Text: p.environment("export %s=%s\n") + "export SVCAUTH_ASSERTION_FILE=/run/spiffe/svid.jwt\n" +
			"export SVCAUTH_ASSERTION_TYPE=jwt-spiffe\n" + useToken,
	}
}

func pasteAWS(p pasted) *snippet {
	return &snippet{
		Title: "The workload", About: "Where the role is, a token of AWS is fetched for each run:",
		Text: "export SVCAUTH_AWS_TOKEN=$(aws sts get-web-identity-token --audience " + shellText(p.made.Audience) +
			" \\\n  --signing-algorithm ES384 --query WebIdentityToken --output text)\n" +
			p.fromVariable("SVCAUTH_AWS_TOKEN"),
	}
}

func pasteAzure(p pasted) *snippet {
	return &snippet{
		Title: "The workload", About: "Where the identity is, a token of Azure is fetched for each run:",
		Text: "export SVCAUTH_AZURE_TOKEN=$(" +
			"curl -sf -H Metadata:true \\\n  \"http://169.254.169.254/metadata/identity/" +
			"oauth2/token?api-version=2018-02-01&resource=" + url.QueryEscape(p.made.Audience) +
			"\" \\\n  | jq -er .access_token)\n" +
			p.fromVariable("SVCAUTH_AZURE_TOKEN"),
	}
}

func pasteGoogle(p pasted) *snippet {
	return &snippet{
		Title: "The workload", About: "Where the service account is, a token of Google is fetched for each run:",
		Text: "export SVCAUTH_GOOGLE_TOKEN=$(" +
			"curl -sf -H Metadata-Flavor:Google \\\n  \"http://metadata.google.internal/" +
			"computeMetadata/v1/instance/service-accounts/default/identity?audience=" +
			url.QueryEscape(p.made.Audience) +
			"&format=full\")\n" + p.fromVariable("SVCAUTH_GOOGLE_TOKEN"),
	}
}

// useToken has the command line fetch a token, which nobody sees.
const useToken = "TOKEN=$(svcauth token)\n"

// fromVariable has the command line prove itself by a token in a variable.
func (p pasted) fromVariable(name string) string {
	return p.environment("export %s=%s\n") + "export SVCAUTH_ASSERTION_ENV=" + name + "\n" + useToken
}
