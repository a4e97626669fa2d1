package main

import (
	"context"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/svcauth/svcauth/internal/svctest"
	"github.com/svcauth/svcauth/internal/svctest/freeport"
	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// accountWord implements account NAME PRIVILEGE…: it makes a service account
// with a role of its own, and puts NAME_ID and NAME_SECRET into the
// environment.
func accountWord(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		made := server.Account(args[0], args[1:]...)
		ts.Setenv(args[0]+"_ID", made.ClientID)
		ts.Setenv(args[0]+"_SECRET", made.ClientSecret.Reveal())
	}
}

// asAPI: stdout is the JSON that GET path gives, but for what moves by itself.
func asAPI(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		key := server.Tenant.ApplicationKey
		answer := server.Get(args[0], server.OwnToken(key.ClientID, key.ClientSecret))
		if answer.Status != 200 {
			ts.Fatalf("GET %s: %d %s", args[0], answer.Status, answer.Text)
		}
		var want, got any
		ts.Check(json.Unmarshal([]byte(answer.Text), &want))
		ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &got))
		if w, g := canonical(want), canonical(got); w != g {
			ts.Fatalf("not what GET %s gives:\n%s\n%s", args[0], g, w)
		}
	}
}

func canonical(v any) string {
	raw, _ := json.Marshal(settled(v))
	return string(raw)
}

// settled takes out last_used_at, which the server writes some time after the
// use.
func settled(v any) any {
	switch in := v.(type) {
	case map[string]any:
		delete(in, "last_used_at")
		for name, member := range in {
			in[name] = settled(member)
		}
	case []any:
		for i, one := range in {
			in[i] = settled(one)
		}
	}
	return v
}

// live implements live NAME FILE: the token in the file is live, by the word of
// introspection for its own client. That client's NAME_ID and NAME_SECRET are
// in the environment.
func live(server *svctest.Server) word {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		is := server.Active(ts.Getenv(args[0]+"_ID"), svcauth.Secret(ts.Getenv(args[0]+"_SECRET")),
			strings.TrimSpace(ts.ReadFile(args[1])))
		if is == neg {
			ts.Fatalf("the token in %s: live is %t", args[1], is)
		}
	}
}

// soon: the time $1 from now into the environment as SOON, in the form of RFC
// 3339.
func soon(ts *testscript.TestScript, _ bool, args []string) {
	d, ok := duration(args[0])
	if !ok {
		ts.Fatalf("%s is no duration", args[0])
	}
	ts.Setenv("SOON", time.Now().Add(d).UTC().Format(time.RFC3339))
}

// follow: a resource server that follows the revocation feed, until the
// transcript ends.
func follow(server *svctest.Server) word {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		account := server.Account("follower", svcauth.TokensIntrospect)
		tokens, err := tokensource.New(tokensource.Config{
			Issuer:       server.Issuer,
			ClientID:     account.ClientID,
			ClientSecret: account.ClientSecret,
		})
		ts.Check(err)
		ts.Defer(func() { _ = tokens.Close() })
		verifier, err := resourceserver.New(resourceserver.Config{
			Issuer:   server.Issuer,
			Audience: "https://api.cloud.example",
			Name:     args[0],
			Feed:     &resourceserver.Feed{Token: tokens.BearerToken, Drop: tokens.Drop},
		})
		ts.Check(err)
		ts.Defer(func() { _ = verifier.Close() })
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		ts.Check(verifier.Ready(ctx))
		for { // its first receipt comes a moment after it is ready
			list, err := server.Admin().ResourceServers(ctx, svcauth.ListOptions{})
			ts.Check(err)
			if slices.ContainsFunc(list.Items, func(one svcauth.ResourceServer) bool {
				return one.Name == args[0] && one.Behind == 0
			}) {
				return
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// port: the number of a port that nobody listens on now, into the environment
// as PORT.
func port(ts *testscript.TestScript, _ bool, _ []string) {
	number, err := freeport.Port()
	ts.Check(err)
	ts.Setenv("PORT", strconv.Itoa(number))
}
