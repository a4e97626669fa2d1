package svcauth

import "time"

// The leeway that a resource server grants when it checks the times of a token.
const (
	MaxLeeway     = 5 * time.Minute
	DefaultLeeway = 30 * time.Second
)
