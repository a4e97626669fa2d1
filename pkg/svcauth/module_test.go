package svcauth

import (
	"testing"

	"github.com/svcauth/svcauth/internal/svctest/outside"
)

// A program that imports this package alone gains no package of another module.
func TestAnOutsideModuleGainsNothing(t *testing.T) {
	outside.Gains(t, `package main

import "github.com/svcauth/svcauth/pkg/svcauth"

func main() {
	if _, err := svcauth.NewClient(svcauth.ClientConfig{URL: "https://auth.example.com"}); err != nil {
		panic(err)
	}
}
`)
}
