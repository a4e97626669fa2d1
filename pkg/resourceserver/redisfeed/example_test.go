package redisfeed_test

import (
	"context"
	"log"
	"os"
	"os/signal"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisfeed"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

// Poll the feed every ten seconds, and at once if svcauth's Redis says that
// something was revoked.
func Example() {
	const issuer = "https://auth.example.com"
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	source, err := tokensource.New(tokensource.Config{
		Issuer:           issuer,
		ClientID:         "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecretFile: "/run/secrets/svcauth",
		Resource:         []string{issuer},
	})
	if err != nil {
		log.Fatal(err)
	}
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer,
		Audience: "https://api.example.com",
		Feed: &resourceserver.Feed{
			Token: source.BearerToken,
			Drop:  source.Drop,
			Poll:  true,
			Every: 10 * time.Second,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	client := redis.NewClient(&redis.Options{Addr: "redis.internal.example:6379"})
	go func() {
		if err := redisfeed.Follow(ctx, redisfeed.Config{Client: client, Verifier: verifier}); err != nil {
			log.Print(err)
		}
	}()
	// … serve the API with verifier.Require …
	<-ctx.Done()
}
