package federation

import (
	"regexp"
	"slices"
	"strings"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// The codes of warnings.
const (
	WarnNoID          = "no_immutable_id"
	WarnNoOwner       = "no_owner_id"
	WarnOwnerOnly     = "owner_only"
	WarnNoEnvironment = "no_environment"
	WarnPullRequest   = "pull_request"
	WarnUnprotected   = "unprotected_ref"
	WarnWorkflow      = "workflow_of_anyone"
	WarnAudience      = "foreign_audience"
)

// warnings are those of one policy.
type warnings []svcauth.FederatedWarning

func (w *warnings) add(code, message string) {
	*w = append(*w, svcauth.FederatedWarning{Code: code, Message: message})
}

// Lint returns by what others could come to have tokens that fit the policy.
// own is this server's issuer.
func (p *Policy) Lint(own string) []svcauth.FederatedWarning {
	var w warnings
	kind := presets[p.kind()]
	if lint := lints[p.kind()]; lint != nil {
		lint(p, &w)
	}
	if p.Subject == "" && !p.hasAny(without(kind.ids, kind.owners)) && p.hasAny(kind.owners) {
		w.add(WarnOwnerOnly, "Every project of this owner fits: name the one that is meant, by subject or by its id.")
	}
	if p.Audience != "" && p.Audience != own && !strings.HasPrefix(p.Audience, own+"/") {
		w.add(WarnAudience, "The audience "+shown(p.Audience)+" is not this server: tokens that were meant for "+
			"somebody "+
			"else, and that others may see, fit. Have the issuer make tokens for "+own+" instead.")
	}
	return w
}

// lints add what is particular to a kind of issuers.
var lints = map[string]func(*Policy, *warnings){
	svcauth.PresetGitHub: lintGitHub, svcauth.PresetGitLab: lintGitLab, svcauth.PresetHCPTerraform: lintHCPTerraform,
	svcauth.PresetKubernetes: lintKubernetes, svcauth.PresetGoogle: lintGoogle,
}

func without(all, some []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(one string) bool { return slices.Contains(some, one) })
}

// githubWithIDs is the form of GitHub's subjects that have ids beside names, as
// those of repositories made since July 2026 do.
var githubWithIDs = regexp.MustCompile(`^repo:[^/:@]+@[0-9]+/[^/:@]+@[0-9]+:`)

// githubPullRequest are the events by which somebody who may not write to a
// repository starts a workflow of it.
var githubPullRequest = []string{"pull_request", "pull_request_target", "issue_comment", "workflow_run", "issues"}

func lintGitHub(p *Policy, w *warnings) {
	ids := githubWithIDs.MatchString(p.Subject)
	if !ids && p.Claims["repository_id"] == "" {
		w.add(WarnNoID, "A repository that is renamed, moved or deleted leaves its name to others: add the claim "+
			"repository_id, or use the subject with ids (repo:OWNER@ID/NAME@ID:…).")
	}
	if !ids && !p.hasAny([]string{"repository_id", "repository_owner_id", "enterprise_id"}) {
		w.add(WarnNoOwner, "This issuer signs for everybody's repositories, and an owner's name may be taken by "+
			"another: "+
			"add the claim repository_owner_id.")
	}
	environment := p.Claims["environment"] != "" || strings.Contains(p.Subject, ":environment:")
	if !environment {
		w.add(WarnNoEnvironment, "Any workflow of the repository fits, on any branch that the subject does not "+
			"exclude: add "+
			"the claim environment, of one that has reviewers or branch rules.")
	}
	event := p.Claims["event_name"]
	switch {
	case strings.HasSuffix(p.Subject, ":pull_request"), slices.Contains(githubPullRequest, event):
		w.add(WarnPullRequest, "Whoever opens a pull request or comments can start a workflow with this event: take "+
			"another event, such as push or workflow_dispatch.")
	case event == "" && !environment:
		w.add(WarnPullRequest, "Events such as pull_request_target run for strangers and have the subject of "+
			"the default "+
			"branch: add the claim event_name, such as push, or the claim environment.")
	}
	if p.Claims["job_workflow_ref"] != "" && p.Subject == "" && p.Claims["repository_id"] == "" {
		w.add(WarnWorkflow, "Whoever may call the reusable workflow fits: add the claim repository_id of the "+
			"repository "+
			"that calls it.")
	}
}

func lintGitLab(p *Policy, w *warnings) {
	if p.Claims["project_id"] == "" {
		w.add(WarnNoID, "A project that is renamed, moved or deleted leaves its path to others: add the claim "+
			"project_id.")
	}
	if slices.Contains(presets[svcauth.PresetGitLab].shared, p.Issuer) &&
		!p.hasAny(presets[svcauth.PresetGitLab].ids) {
		w.add(WarnNoOwner, "This issuer signs for everybody's projects: add the claim namespace_id or project_id.")
	}
	if p.Claims["ref_protected"] != "true" && p.Claims["environment_protected"] != "true" {
		w.add(WarnUnprotected, "Whoever may push a branch can name any environment in it: add the claim "+
			"ref_protected or "+
			"environment_protected with the text true.")
	}
	if p.Claims["pipeline_source"] == "merge_request_event" {
		w.add(WarnPullRequest, "Whoever opens a merge request can start a pipeline with this source: take "+
			"another, such as "+
			"push.")
	}
}

func lintHCPTerraform(p *Policy, w *warnings) {
	if !p.hasAny([]string{"terraform_workspace_id", "terraform_project_id"}) {
		w.add(WarnNoID, "A workspace that is renamed or deleted leaves its name to others: add the claim "+
			"terraform_workspace_id.")
	}
	if p.Issuer == hcpIssuer && !p.hasAny(presets[svcauth.PresetHCPTerraform].ids) {
		w.add(WarnNoOwner, "This issuer signs for everybody's workspaces: add the claim "+
			"terraform_organization_id or "+
			"terraform_workspace_id.")
	}
	phase := p.Claims["terraform_run_phase"]
	if phase != "apply" && !strings.HasSuffix(p.Subject, ":run_phase:apply") {
		w.add(WarnPullRequest, "Speculative plans run for pull requests: add the claim terraform_run_phase with "+
			"the text "+
			"apply, and let plans have a credential of their own that may only read.")
	}
}

func lintKubernetes(p *Policy, w *warnings) {
	if !p.hasAny(presets[svcauth.PresetKubernetes].ids) {
		w.add(WarnNoID, "A service account that is deleted and made again has the same name: add the claim "+
			"/kubernetes.io/serviceaccount/uid.")
	}
}

func lintGoogle(p *Policy, w *warnings) {
	if strings.Trim(p.Subject, "0123456789") != "" {
		w.add(WarnNoID, "The subject of a Google account is its number, which no other one ever has; this one "+
			"is a name.")
	}
}
