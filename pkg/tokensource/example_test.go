package tokensource_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
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

// keyServer stands in for a server that takes assertions (RFC 7523). A real one
// checks them.
func keyServer() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		issuer := "http://" + r.Host
		if r.URL.Path == "/.well-known/oauth-authorization-server" {
			_ = json.NewEncoder(w).Encode(map[string]any{"issuer": issuer, "token_endpoint": issuer + "/oauth2/token"})
			return
		}
		var claims struct{ Sub string }
		_, rest, _ := strings.Cut(r.FormValue("client_assertion"), ".")
		payload, _, _ := strings.Cut(rest, ".")
		raw, _ := base64.RawURLEncoding.DecodeString(payload)
		_ = json.Unmarshal(raw, &claims)
		_ = json.NewEncoder(w).Encode(map[string]any{"access_token": "for:" + claims.Sub, "token_type": "Bearer"})
	}))
}

// exampleFile writes what the file of an example holds.
func exampleFile(name string) string {
	key, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	content := []byte("eyJhbGciOiJub25lIn0." +
		base64.RawURLEncoding.EncodeToString([]byte(`{"sub":"system:serviceaccount:shop:checkout"}`)) + ".c2ln")
	if name == "client.key" {
		der, _ := x509.MarshalPKCS8PrivateKey(key)
		content = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	dir, _ := os.MkdirTemp("", "example")
	path := filepath.Join(dir, name)
	_ = os.WriteFile(path, content, 0o600)
	return path
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

// Prove who asks by a private key: no secret is sent, and none is stored at the
// server. The server has the public key.
func ExampleNew_privateKey() {
	auth, file := keyServer(), exampleFile("client.key")
	defer auth.Close()
	defer os.RemoveAll(filepath.Dir(file))
	tokens, err := tokensource.New(tokensource.Config{
		Issuer:         auth.URL,
		ClientID:       "sa_01h455vb4pex5vsknk084sn02q",
		PrivateKeyFile: file, // made by: svcauth key create client.key
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	token, err := tokens.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.AccessToken)
	// Output: for:sa_01h455vb4pex5vsknk084sn02q
}

// Prove who asks by a token that the cluster writes and renews: the file is
// read for each request. Its audience names the organization here, so that no
// client id is needed.
func ExampleNew_assertionFile() {
	auth, file := keyServer(), exampleFile("token")
	defer auth.Close()
	defer os.RemoveAll(filepath.Dir(file))
	tokens, err := tokensource.New(tokensource.Config{
		Issuer:        auth.URL,
		AssertionFile: file, // such as /var/run/secrets/svcauth/token
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tokens.Close()

	token, err := tokens.Token(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(token.AccessToken)
	// Output: for:system:serviceaccount:shop:checkout
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
	fmt.Println(config.ClientSecret, "from", from.Credential)
	// Output:
	// https://other.example.com from option url
	// sa_01h455vb4pex5vsknk084sn02q from environment SVCAUTH_CLIENT_ID
	// svcs_[redacted] from environment SVCAUTH_CLIENT_SECRET
}
