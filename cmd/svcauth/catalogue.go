package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

func apiCommand() *cobra.Command {
	return noun("api", "The APIs of the catalogue: the audiences of tokens", []string{"apis"}, listing[svcauth.API]{
		verb: verb{use: "list", aliases: []string{"ls"}, short: "List the APIs", example: []string{"svcauth api list"}},
		page: func(ctx context.Context, s *session, _ []string, o svcauth.ListOptions) (svcauth.List[svcauth.API],
			error) {
			return s.client.APIs(ctx, o)
		},
		columns: func(*session) []column[svcauth.API] {
			return []column[svcauth.API]{
				{title: "NAME", cell: func(a svcauth.API) string { return a.Name }},
				{title: "AUDIENCE", whole: true, cell: func(a svcauth.API) string { return a.Audience }},
				{title: "TOKENS", cell: func(a svcauth.API) string { return a.Profile.String() }},
				{
					title: "ACCOUNT CLAIMS",
					cell:  func(a svcauth.API) string { return orElse(strings.Join(a.AccountClaims, ", "), "-") },
				},
				{title: "DESCRIPTION", cell: func(a svcauth.API) string { return a.Description }},
			}
		},
		none: "No APIs.",
	}.command())
}

func privilegeCommand() *cobra.Command {
	return noun("privilege", "The privileges of the catalogue: what roles are made of", []string{"privileges"},
		listing[svcauth.Privilege]{
			verb: verb{
				use:     "list",
				aliases: []string{"ls"},
				short:   "List the privileges",
				example: []string{"svcauth privilege list --all"},
			},
			page: func(ctx context.Context, s *session, _ []string,
				o svcauth.ListOptions) (svcauth.List[svcauth.Privilege], error) {
				return s.client.Privileges(ctx, o)
			},
			columns: func(*session) []column[svcauth.Privilege] {
				return []column[svcauth.Privilege]{
					{title: "NAME", whole: true, cell: func(p svcauth.Privilege) string { return p.Name }},
					{title: "API", cell: func(p svcauth.Privilege) string { return p.API }},
					{title: "DESCRIPTION", cell: func(p svcauth.Privilege) string { return p.Description }},
				}
			},
			none: "No privileges.",
		}.command())
}

func resourceServerCommand() *cobra.Command {
	return noun("resource-server", "The resource servers that follow the revocation feed", []string{"resource-servers"},
		listing[svcauth.ResourceServer]{
			verb: verb{
				use:     "list",
				aliases: []string{"ls"},
				short:   "List the resource servers that are connected, and how far behind each is",
				long: "BINDINGS says whether it checks what tokens are bound to. One that does not, or does not say " +
					"so, accepts a bound token from whoever has it.",
				example: []string{"svcauth resource-server list"},
			},
			page: func(ctx context.Context, s *session, _ []string,
				o svcauth.ListOptions) (svcauth.List[svcauth.ResourceServer], error) {
				return s.client.ResourceServers(ctx, o)
			},
			columns: func(s *session) []column[svcauth.ResourceServer] {
				return []column[svcauth.ResourceServer]{
					{title: "NAME", cell: func(r svcauth.ResourceServer) string { return r.Name }},
					{title: "INSTANCE", cell: func(r svcauth.ResourceServer) string { return r.Instance }},
					{title: "VERSION", wide: true, cell: func(r svcauth.ResourceServer) string { return r.Version }},
					{title: "NODE", cell: func(r svcauth.ResourceServer) string { return r.Node }},
					{title: "BEHIND", whole: true, cell: behind},
					{title: "BINDINGS", whole: true, cell: bindings},
					{
						title: "CONNECTED",
						whole: true,
						cell:  func(r svcauth.ResourceServer) string { return ago(s.now(), r.ConnectedAt) },
					},
				}
			},
			none: "No resource server is connected: revocations reach none at once. " +
				"pkg/resourceserver follows the feed where its Feed is set.",
		}.command())
}

// bindings reports in words whether a resource server checks what tokens are
// bound to.
func bindings(r svcauth.ResourceServer) string {
	if r.ChecksBindings {
		return "checked"
	}
	return "not checked"
}

func behind(r svcauth.ResourceServer) string {
	if r.Behind == 0 {
		return "no"
	}
	return fmt.Sprintf("%d, %s", r.Behind, span(time.Duration(r.LagMS)*time.Millisecond))
}

func meCommand() *cobra.Command {
	return verb{
		use:     "me",
		aliases: []string{"whoami"},
		short:   "Show who you are to the server, and what you may do",
		example: []string{"svcauth me"},
		run: func(ctx context.Context, s *session, _ []string) error {
			me, err := s.client.Me(ctx)
			if err != nil {
				return err
			}
			return s.show(me, value("Name", me.Name), value("Kind", me.Kind), value("ID", me.ID),
				value("Client ID", me.ClientID),
				value("Organization", me.Organization.Name+" ("+me.Organization.ID+")"),
				value("Operator", yesNo(me.Operator)), value("Roles", me.Roles...),
				value("Privileges", me.Privileges...), value("Server", s.config.Issuer+" (from "+s.from.URL+")"))
		},
	}.command()
}
