package tokensource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/svcauth/svcauth/internal/httpx"
)

// The platforms, for Config.AssertionFrom.
const (
	// GitHubActions asks the job's own endpoint for a token each time, by the
	// variables ACTIONS_ID_TOKEN_REQUEST_URL and
	// ACTIONS_ID_TOKEN_REQUEST_TOKEN. The job needs "permissions: id-token:
	// write".
	GitHubActions = "github-actions"
	// HCPTerraform takes the token of HCP Terraform's run from the variable
	// TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH, or else TFC_WORKLOAD_IDENTITY_TOKEN.
	// The workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH,
	// with the issuer. Name a token of another tag as Config.AssertionEnv.
	HCPTerraform = "hcp-terraform"
)

const (
	gitHubURL   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	gitHubToken = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"
)

var hcpTokens = []string{"TFC_WORKLOAD_IDENTITY_TOKEN_SVCAUTH", "TFC_WORKLOAD_IDENTITY_TOKEN"}

// Both say what a job or a workspace lacks. They continue a sentence.
const (
	gitHubNeeds = "the job needs 'permissions: id-token: write' in GitHub Actions"
	hcpNeeds    = "the workspace needs the variable TFC_WORKLOAD_IDENTITY_AUDIENCE_SVCAUTH in HCP Terraform, " +
		"with the issuer as its value"
)

// platformAt returns the platform on which the program runs with a token, and
// the variable by which that is known. If there is none but the program runs on
// such a platform all the same, needs is what it lacks.
func platformAt(getenv func(string) string) (platform, variable, needs string) {
	if getenv(gitHubURL) != "" && getenv(gitHubToken) != "" {
		return GitHubActions, gitHubURL, ""
	}
	for _, name := range hcpTokens {
		if getenv(name) != "" {
			return HCPTerraform, name, ""
		}
	}
	switch {
	case getenv("GITHUB_ACTIONS") == "true":
		return "", "", gitHubNeeds
	case getenv("TFC_RUN_ID") != "":
		return "", "", hcpNeeds
	}
	return "", "", ""
}

func newPlatform(c Config) method {
	if c.AssertionFrom == GitHubActions {
		return gitHub{c.ClientID, c.audience(), c.lookUp, c.Clock}
	}
	for _, name := range hcpTokens {
		if c.lookUp(name) != "" {
			c.AssertionEnv = name
			return newAssertionEnv(c)
		}
	}
	return missing{fmt.Errorf("neither %s is set: %s", strings.Join(hcpTokens, " nor "), hcpNeeds)}
}

// missing is a method for which something is not there.
type missing struct{ err error }

func (m missing) check() error                                  { return m.err }
func (m missing) prove(context.Context, *Source) (proof, error) { return proof{}, m.err }

// gitHub asks GitHub Actions for a token of the job.
type gitHub struct {
	client, audience string
	getenv           func(string) string
	now              func() time.Time
}

func (g gitHub) check() error {
	for _, name := range []string{gitHubURL, gitHubToken} {
		if g.getenv(name) == "" {
			return fmt.Errorf("%s is not set: %s", name, gitHubNeeds)
		}
	}
	if err := httpx.CheckEndpoint("", g.getenv(gitHubURL)); err != nil {
		return fmt.Errorf("%s %w", gitHubURL, err)
	}
	return nil
}

func (g gitHub) prove(ctx context.Context, s *Source) (proof, error) {
	if err := g.check(); err != nil {
		return proof{}, err
	}
	address, bearer := g.getenv(gitHubURL), g.getenv(gitHubToken)
	separator := "?"
	if strings.Contains(address, "?") { // GitHub's has a query
		separator = "&"
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		address+separator+url.Values{"audience": {g.audience}}.Encode(), nil)
	if err != nil {
		return proof{}, fmt.Errorf("%s is not a URL", gitHubURL)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	answer, failure := s.send(req, proof{hidden: []string{bearer}})
	if failure != nil {
		return proof{}, g.failed(failure)
	}
	var said struct {
		Value string `json:"value"`
	}
	if json.Unmarshal(answer, &said) != nil || said.Value == "" {
		return proof{}, g.failed(&Error{
			URL:   bare(address),
			Cause: errors.New(`the answer is not JSON with the token as "value"`),
		})
	}
	return foreignProof(g.client, JWTBearer, "GitHub Actions", said.Value, g.now())
}

// failed describes a failure at GitHub. What it says is no word of the token
// endpoint, so it has no code.
func (g gitHub) failed(failure *Error) error {
	failure.lead = "no identity token from GitHub Actions at"
	failure.retryable = failure.retryable || failure.Status >= http.StatusInternalServerError
	if failure.Status/100 == 3 {
		failure.Cause = errors.New("the answer is a redirect, which is not followed")
	}
	if failure.Code != "" {
		failure.Cause = errors.New(failure.Code)
		failure.Code = ""
	}
	return failure
}
