package httpx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.255.0.7": true, "::1": true,
		"::ffff:127.0.0.1": true,
		"":                 false, "0.0.0.0": false, "::": false, "10.0.0.1": false, "auth.example.com": false,
		"::ffff:10.0.0.1":    false,
		"clusters.localhost": false, "localhost.": false,
		"localhost.example.com": false, // the DNS decides where these lead
		"::1%eth0":              false, "127.1": false, "0127.0.0.1": false, "2130706433": false, "[::1]": false,
		"127.0.0.1.example.com": false,
	} {
		require.Equal(t, want, Loopback(host), host)
	}
}

func TestAddresses(t *testing.T) {
	const secure, local = "https://auth.example.com", "http://localhost:8080"
	for _, c := range []struct{ issuer, address, fault string }{ // issuer "-": the address is an issuer
		{"-", secure, ""}, {"-", secure + "/tenant", ""}, {"-", local, ""}, {"-", "http://127.0.0.1:1/x", ""},
		{"-", "http://[::1]", ""},
		{"-", "HTTP://LOCALHOST", ""},
		{"-", "", "is empty"}, {"-", "auth.example.com", "is not an address"},
		{"-", "ftp://auth.example.com", "is not an address"},
		{"-", "//auth.example.com", "is not an address"}, {"-", "https://", "is not an address"},
		{"-", "https://:443", "is not an address"}, {"-", "https://a b", "is not an address"},
		{"-", "https://me:horse@auth.example.com", "user name or password"}, {"-", secure + "?", "has a query"},
		{"-", secure + "#", "has a fragment"},
		{"-", "http://auth.example.com", "in clear"}, {"-", "http://me.localhost", "in clear"},

		{secure, secure + "/token", ""}, {secure, "https://localhost/token?a=b", ""},
		{local, "http://127.0.0.1/token?a=b", ""}, {local, secure + "/token", ""},
		{"", secure + "/token?a=b", ""}, {"", "http://localhost/token", ""},
		{secure, "", "is empty"}, {secure, "http://localhost/token", "as the issuer is"},
		{secure, "http://auth.example.com/token", "as the issuer is"},
		{"HTTPS://auth.example.com", "http://localhost/token", "as the issuer is"},
		{"%", "http://localhost/token", "as the issuer is"},
		{local, "http://auth.example.com/token", "in clear"}, {"", "http://auth.example.com/token", "in clear"},
		{secure, "//auth.example.com/token", "is not an address"}, {secure, secure + "/token#", "has a fragment"},
		{secure, "https://me:horse@auth.example.com", "user name"},
	} {
		err := CheckEndpoint(c.issuer, c.address)
		if c.issuer == "-" {
			err = CheckIssuer(c.address)
		}
		if c.fault == "" {
			require.NoError(t, err, c)
			continue
		}
		require.ErrorContains(t, err, c.fault, c)
		require.NotContains(t, err.Error(), "horse")
	}
}

// oddAddresses are those that begin well, and can't be right, with a word of
// what is said of them.
var oddAddresses = map[string]string{
	"https://a.example:0": "port", "https://a.example:65536": "port", "https://a.example:99999/x": "port",
	"https://a.example:abc": "port", "https://a.example:-1": "port", "https://a.example:0443": "port",
	"https://[::1]:70000": "port", "https://a.example:80:80": "not an address", "https://::1/x": "not an address",
	"https://[::1": "not an address", "https://[fe80::1%25eth0]/x": "not an address",
	"https://%61.example": "not an address", "https://a.example/%zz": "not an address",
	"https:///x": "not an address", "https://:443/x": "not an address", "https:a.example": "not an address",
	"https://a.example/..": "its path", "https://a.example/./x": "its path", "https://a.example/x/../y": "its path",
	"https://a.example/%2e%2E/x": "its path", "https://a.example/x/.%2e": "its path",
	"https://a.example/x\\y": "character", "https://a.example/x y": "character", "https://ä.example": "character",
	"https://a.example\n": "character", " https://a.example": "character", `https://a.example/"`: "character",
	"https://horse@a.example": "user name", "https://me:horse@a.example:99999": "user name",
}

// TestOddAddresses: one parser says what an address may be, so that none of
// them is taken anywhere.
func TestOddAddresses(t *testing.T) {
	for address, fault := range oddAddresses {
		for _, check := range []func(string) error{
			CheckBase, CheckIssuer, CheckResource,
			func(address string) error { return CheckEndpoint("", address) },
		} {
			err := check(address)
			require.ErrorContains(t, err, fault, address)
			require.NotContains(t, err.Error(), "horse")
		}
	}
	for _, address := range []string{
		"https://a.example", "https://a.example:1", "https://a.example:65535/x", "https://[2001:db8::1]:8443/x",
		"https://a.example/...", "https://a.example/.x/..y/z..", "https://a.example/a//b", "https://a.example/%7Ex",
		"HTTPS://A.example:443",
	} {
		require.NoError(t, CheckBase(address), address)
		require.NoError(t, CheckIssuer(address), address)
		require.NoError(t, CheckResource(address), address)
	}
	for address, fault := range map[string]string{
		"https://a.example/": "slash", "https://a.example?": "query", "https://a.example/x?y": "query",
		"https://a.example#": "fragment", "https://a.example/x#y?z": "fragment", "": "is empty",
	} {
		require.ErrorContains(t, CheckBase(address), fault, address)
	}
	require.NoError(t, CheckBase("http://api.internal:8080/cloud"))
	for uri, fault := range map[string]string{
		"urn:example:api": "", "api://00000000-0000-0000-0000-000000000000": "", "https://a.example/x?y": "",
		"api": "absolute", "/x": "absolute", "urn:": "absolute", "x:///y": "absolute", "": "absolute",
		"urn:a b": "character", "urn:a#b": "fragment", "https://a.example#": "fragment",
	} {
		if err := CheckResource(uri); fault != "" {
			require.ErrorContains(t, err, fault, uri)
		} else {
			require.NoError(t, err, uri)
		}
	}
}
