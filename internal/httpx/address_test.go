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
