package svcauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/svcauth/svcauth/pkg/svcauth"
)

// exampleServer stands in for an svcauth, so that the examples run anywhere.
func exampleServer() *httptest.Server {
	answer := func(w http.ResponseWriter, status int, body any) {
		w.Header().Set("Content-Type", "application/json")
		if status >= 400 {
			w.Header().Set("Content-Type", "application/problem+json")
		}
		w.Header().Set("ETag", `"1"`)
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(body)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/service-accounts", func(w http.ResponseWriter, r *http.Request) {
		var body svcauth.NewServiceAccount
		_ = json.NewDecoder(r.Body).Decode(&body)
		if body.Name == "taken" {
			answer(w, http.StatusConflict,
				svcauth.NewProblem(svcauth.CodeConflict,
					"there is a service account named taken already; choose another name"))
			return
		}
		answer(w, http.StatusCreated, svcauth.ServiceAccount{ID: "sa_01h455vb4pex5vsknk084sn02q", Name: body.Name,
			ClientSecret: svcauth.NewSecret()})
	})
	mux.HandleFunc("GET /v1/service-accounts", func(w http.ResponseWriter, r *http.Request) {
		next := "2"
		if r.FormValue("cursor") == next {
			answer(w, http.StatusOK,
				svcauth.List[svcauth.ServiceAccount]{Items: []svcauth.ServiceAccount{{Name: "ci"}}})
			return
		}
		answer(w, http.StatusOK,
			svcauth.List[svcauth.ServiceAccount]{Items: []svcauth.ServiceAccount{{Name: "nightly"}, {Name: "backup"}},
				NextCursor: &next})
	})
	mux.HandleFunc("DELETE /v1/service-accounts/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, svcauth.Enforcement{Enforced: 12, Connected: 12, ElapsedMS: 38})
	})
	return httptest.NewServer(mux)
}

// Create a service account. In a real program the http.Client comes from
// tokensource.Source.Transport, which adds the bearer token.
func ExampleClient_CreateServiceAccount() {
	server := exampleServer()
	defer server.Close()
	client, err := svcauth.NewClient(svcauth.ClientConfig{URL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	account, err := client.CreateServiceAccount(context.Background(), svcauth.NewServiceAccount{Name: "nightly"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(account.ID, account.Name)
	fmt.Println(account.ClientSecret) // printed, it is redacted; Reveal gives it, this once
	_, err = svcauth.ParseSecret(account.ClientSecret.Reveal())
	fmt.Println(err)
	// Output:
	// sa_01h455vb4pex5vsknk084sn02q nightly
	// svcs_[redacted]
	// <nil>
}

// Tell one refusal from another by its code.
func ExampleProblem() {
	server := exampleServer()
	defer server.Close()
	client, err := svcauth.NewClient(svcauth.ClientConfig{URL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = client.CreateServiceAccount(context.Background(), svcauth.NewServiceAccount{Name: "taken"})
	var problem *svcauth.Problem
	if errors.As(err, &problem) && problem.Code == svcauth.CodeConflict {
		fmt.Println(problem.Status, problem.Detail)
	}
	// Output: 409 there is a service account named taken already; choose another name
}

// Read a list to its end, page by page.
func ExampleAll() {
	server := exampleServer()
	defer server.Close()
	client, err := svcauth.NewClient(svcauth.ClientConfig{URL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	for account, err := range svcauth.All(context.Background(), client.ServiceAccounts, svcauth.ListOptions{}) {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(account.Name)
	}
	// Output:
	// nightly
	// backup
	// ci
}

// Remove a service account, and learn how many resource servers refuse its
// tokens already.
func ExampleClient_DeleteServiceAccount() {
	server := exampleServer()
	defer server.Close()
	client, err := svcauth.NewClient(svcauth.ClientConfig{URL: server.URL, HTTPClient: server.Client()})
	if err != nil {
		fmt.Println(err)
		return
	}
	done, err := client.DeleteServiceAccount(context.Background(), "sa_01h455vb4pex5vsknk084sn02q", 2*time.Second)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d of %d enforce it after %d ms\n", done.Enforced, done.Connected, done.ElapsedMS)
	// Output: 12 of 12 enforce it after 38 ms
}
