// Command example-api is a small cloud API behind pkg/resourceserver. It shows
// what a resource server of svcauth looks like.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisproofs"
	"github.com/svcauth/svcauth/pkg/svcauth"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var level slog.Level
	err := level.UnmarshalText([]byte(env("EXAMPLE_API_LOG_LEVEL", "info")))
	if err == nil {
		err = run(ctx, slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level})))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "example-api:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, logger *slog.Logger) error {
	cfg := resourceserver.Config{
		Issuer:   env("EXAMPLE_API_ISSUER", "http://localhost:8080"),
		Audience: env("EXAMPLE_API_AUDIENCE", "https://api.cloud.example"),
		Logger:   logger,
		// EXAMPLE_API_ACCEPT_TYP_JWT=true where the API's profile makes tokens
		// of type JWT.
		AcceptTypJWT: os.Getenv("EXAMPLE_API_ACCEPT_TYP_JWT") == "true",
		// By which URL callers reach this API, if not by the address that it
		// listens on, and whether proofs need a nonce: off, optional, required.
		ExternalURL: os.Getenv("EXAMPLE_API_EXTERNAL_URL"),
		ProofNonces: resourceserver.ProofNonces(os.Getenv("EXAMPLE_API_PROOF_NONCES")),
		// The same one at several instances, so that they know each other's.
		ProofNonceKey: []byte(os.Getenv("EXAMPLE_API_PROOF_NONCE_KEY")),
	}
	// Several instances of this API share in Redis which proofs were used.
	if url := os.Getenv("EXAMPLE_API_PROOF_REDIS_URL"); url != "" {
		proofs, err := redisproofs.New(redisproofs.Config{URL: url})
		if err != nil {
			return err
		}
		defer proofs.Close()
		cfg.SharedProofs = proofs
	}
	feed, err := feed(cfg.Issuer)
	if err != nil {
		return err
	}
	if cfg.Feed = feed; feed == nil {
		logger.Warn("no credentials: revoked tokens are accepted until they expire")
	}
	verifier, err := resourceserver.New(cfg)
	if err != nil {
		return err
	}
	defer verifier.Close()
	server := &http.Server{
		Addr:              env("EXAMPLE_API_LISTEN", "127.0.0.1:8081"),
		Handler:           routes(verifier, newClusters()),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      10 * time.Second,
	}
	done := make(chan error, 1)
	go func() { done <- server.ListenAndServe() }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return server.Shutdown(grace)
}

// routes requires a privilege of its own for each verb.
func routes(v *resourceserver.Verifier, c *clusters) http.Handler {
	mux := http.NewServeMux()
	handle := func(pattern, privilege string, h http.HandlerFunc) { mux.Handle(pattern, v.Require(privilege)(h)) }
	handle("GET /api/1.0/clusters", "clusters:view", c.list)
	handle("POST /api/1.0/clusters", "clusters:create", c.create)
	handle("POST /api/1.0/clusters/{id}/suspend", "clusters:suspend", c.set("suspended"))
	handle("POST /api/1.0/clusters/{id}/resume", "clusters:resume", c.set("running"))
	handle("DELETE /api/1.0/clusters/{id}", "clusters:release", c.remove)
	mux.Handle("GET /api/1.0/ping", v.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p, _ := resourceserver.PrincipalFrom(r.Context())
		answer(w, http.StatusOK, map[string]any{"you": p.Subject, "privileges": p.Privileges()})
	})))
	return mux
}

// feed returns the subscription to the revocation feed, or nil without
// credentials: EXAMPLE_API_CLIENT_ID and EXAMPLE_API_CLIENT_SECRET, or a file
// with both.
func feed(issuer string) (*resourceserver.Feed, error) {
	id, secret := os.Getenv("EXAMPLE_API_CLIENT_ID"), os.Getenv("EXAMPLE_API_CLIENT_SECRET")
	if file := os.Getenv("EXAMPLE_API_CREDENTIALS_FILE"); id == "" && file != "" {
		raw, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil, nil
		}
		var credentials struct {
			ClientID     string `json:"client_id"`
			ClientSecret string `json:"client_secret"`
		}
		if err = errors.Join(err, json.Unmarshal(raw, &credentials)); err != nil {
			return nil, fmt.Errorf("read the credentials: %w", err)
		}
		id, secret = credentials.ClientID, credentials.ClientSecret
	}
	if id == "" {
		return nil, nil
	}
	source, err := tokensource.New(tokensource.Config{Issuer: issuer, ClientID: id,
		ClientSecret: svcauth.Secret(secret),
		Resource:     []string{issuer}}) // the feed is the issuer's own
	if err != nil {
		return nil, err
	}
	return &resourceserver.Feed{Token: source.BearerToken, Drop: source.Drop}, nil
}

// env returns the value of a variable, or the default if it is empty.
func env(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}
