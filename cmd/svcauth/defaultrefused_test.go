package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/svcauth/svcauth/internal/svctest"
)

// Whoever changes an account so that it gets no token without a resource is
// warned on standard error, and whoever makes such an application key.
func TestCommandsWarnOfAccountsWithoutADefaultToken(t *testing.T) {
	server := svctest.New(t, svctest.Options{Environ: []string{svctest.Catalog(t, map[string]string{
		svctest.CloudAPI: "profile: {preset: spring}",
	})}})
	cloud, billing := server.Account("c", "clusters:view").Roles[0].ID, server.Account("b", "billing:view").Roles[0].ID
	const warning = "Warning: The service account torn gets no token without a resource"
	server.Account("whole", "clusters:view")
	assign := []string{"service-account", "role", "assign", "whole", billing}
	status, _, said := call(t, server, assign...)
	require.Equal(t, 2, status, "nobody can be asked here, so nothing stops")
	require.Contains(t, said, "The service account whole gets no token without a resource")
	require.Contains(t, said, "add --yes to go ahead")
	status, _, said = call(t, server, append(assign, "--yes")...)
	require.Zero(t, status, said)
	require.Contains(t, said, "Warning: The service account whole gets no token without a resource")
	server.Account("whole2", "clusters:view")
	for _, c := range []struct {
		args    []string
		warning string
	}{
		{[]string{"service-account", "create", "torn", "--role", cloud, "--role", billing}, warning},
		{[]string{"service-account", "update", "torn", "--default-resource", svctest.CloudAPI}, ""},
		{[]string{"service-account", "update", "torn", "--default-resource", "", "-o", "json"}, warning},
		{[]string{"service-account", "disable", "torn", "--yes"}, ""},
		{[]string{"service-account", "enable", "torn"}, warning},
		{[]string{"role", "update", "Role of whole2", "--add-privilege", "billing:view"},
			"Warning: The service account whole2 gets no token"},
		{[]string{"application-key", "create"},
			"Warning: The application keys of " + svctest.AdminEmail + " get no token"},
	} {
		if c.warning != "" {
			status, _, said := call(t, server, c.args...)
			require.Equal(t, 2, status, "it is asked first")
			require.Contains(t, said, strings.TrimPrefix(c.warning, "Warning: "))
			c.args = append(c.args, "--yes")
		}
		status, out, said := call(t, server, c.args...)
		require.Zero(t, status, said)
		require.NotContains(t, out, "Warning:")
		if c.warning == "" {
			require.NotContains(t, said, "Warning:", "%v", c.args)
			continue
		}
		require.Contains(t, said, c.warning, "%v", c.args)
	}
}
