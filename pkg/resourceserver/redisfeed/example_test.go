package redisfeed_test

import (
	"context"
	"log"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisfeed"
	"github.com/svcauth/svcauth/pkg/tokensource"
)

func ExampleFollow() {
	const issuer = "https://auth.example.com"
	source, err := tokensource.New(tokensource.Config{
		Issuer:       issuer,
		ClientID:     "sa_01h455vb4pex5vsknk084sn02q",
		ClientSecret: "the-secret",
		Resource:     []string{issuer},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer source.Close()
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:   issuer,
		Audience: "https://api.example.com",
		Feed: &resourceserver.Feed{
			Token: source.BearerToken, Drop: source.Drop,
			Poll: true, Every: 10 * time.Second,
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()

	client := redis.NewClient(&redis.Options{Addr: "redis.internal:6379"})
	defer client.Close()
	// Follow runs until the context is done.
	if err := redisfeed.Follow(context.Background(), redisfeed.Config{Client: client, Verifier: verifier}); err != nil {
		log.Fatal(err)
	}
}
