package redisproofs_test

import (
	"log"

	"github.com/svcauth/svcauth/pkg/resourceserver"
	"github.com/svcauth/svcauth/pkg/resourceserver/redisproofs"
)

func Example() {
	proofs, err := redisproofs.New(redisproofs.Config{URL: "redis://proofs:PASSWORD@redis.internal:6379"})
	if err != nil {
		log.Fatal(err)
	}
	defer proofs.Close()
	verifier, err := resourceserver.New(resourceserver.Config{
		Issuer:       "https://auth.example.com",
		Audience:     "https://api.example.com",
		SharedProofs: proofs,
	})
	if err != nil {
		log.Fatal(err)
	}
	defer verifier.Close()
}
