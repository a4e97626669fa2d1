package tokensource_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"golang.org/x/oauth2"

	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// authServer and clusterAPI stand in for the two servers of the examples, so
// that they run anywhere.
func authServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		issuer := "http://" + r.Host
		switch id, secret, _ := r.BasicAuth(); {
		case r.URL.Path == "/.well-known/oauth-authorization-server":
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "token_endpoint": issuer + "/oauth2/token"})
		case id == "sa_01h455vb4pex5vsknk084sn02q" && secret == "the-secret":
			_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "abc", "token_type": "Bearer",
				"expires_in": 3600, "scope": r.FormValue("scope")})
		default:
			w.WriteHeader(http.StatusUnauthorized)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": "invalid_client"})
		}
	}))
}

func clusterAPI() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = fmt.Fprintf(w, "clusters for %s", r.Header.Get("Authorization"))
	}))
}

// Call an API: the transport adds the token, renews it, and replaces it when
// the API refuses it.
func Example() {
	auth, api := authServer(), clusterAPI()
	defer auth.Close()
	defer api.Close()

	tokens, err := tokensource.New(tokensource.Config{
		Issuer:       auth.URL, // such as https://auth.example.com
		ClientID:     "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: "the-secret", // better: ClientSecretFile, or FromEnvironment
		Scopes:       []string{"clusters:view"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	client := &http.Client{Transport: tokens.Transport(nil), Timeout: time.Minute}
	answer, err := client.Get(api.URL + "/clusters")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer answer.Body.Close()
	body, _ := io.ReadAll(answer.Body)
	fmt.Println(string(body))
	// Output: clusters for Bearer abc
}

// Get the token yourself if something other than net/http needs it. Call Token
// each time: the Source caches.
func ExampleSource_Token() {
	auth := authServer()
	defer auth.Close()
	tokens, err := tokensource.New(tokensource.Config{Issuer: auth.URL, ClientID: "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: "the-secret", Scopes: []string{"clusters:view"}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	token, err := tokens.Token(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.Type(), token.AccessToken, "for", token.Extra("scope"))
	// Output: Bearer abc for clusters:view
}

// Give the tokens to a library that takes an oauth2.TokenSource.
func ExampleSource_TokenSource() {
	auth := authServer()
	defer auth.Close()
	tokens, err := tokensource.New(tokensource.Config{Issuer: auth.URL, ClientID: "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: "the-secret"})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	var forTheLibrary oauth2.TokenSource = tokens.TokenSource(context.Background())
	token, err := forTheLibrary.Token()
	fmt.Println(token.AccessToken, err)
	// Output: abc <nil>
}

// Tell a wrong secret from a server that is away.
func ExampleError() {
	auth := authServer()
	defer auth.Close()
	tokens, err := tokensource.New(tokensource.Config{Issuer: auth.URL, ClientID: "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: svcauth.Secret("not-the-secret")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	_, err = tokens.Token(context.Background())
	var refused *tokensource.Error
	if errors.As(err, &refused) {
		fmt.Println(refused.Status, refused.Code)
	}
	// Output: 401 invalid_client
}

// Read the configuration from where the user of the program put it.
func ExampleLoad() {
	variables := map[string]string{"SVCAUTH_URL": "https://auth.example.com",
		"SVCAUTH_CLIENT_ID": "sa_01h455vb4pex5vsknk084sn02q", "SVCAUTH_CLIENT_SECRET": "the-secret"}
	config, from, err := tokensource.Load(tokensource.LoadOptions{
		URL:    "https://other.example.com",                         // what the program was told by a flag
		Getenv: func(name string) string { return variables[name] }, // only for this example
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(config.Issuer, "from", from.URL)
	fmt.Println(config.ClientID, "from", from.ClientID)
	fmt.Println(config.ClientSecret, "from", from.ClientSecret)
	// Output:
	// https://other.example.com from option url
	// sa_01h455vb4pex5vsknk084sn02q from environment SVCAUTH_CLIENT_ID
	// svcs_[redacted] from environment SVCAUTH_CLIENT_SECRET
}
