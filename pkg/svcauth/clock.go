package svcauth

import "time"

// The leeway that a resource server grants when it checks the times of a token,
// since its clock may differ from the server's.
const (
	MaxLeeway     = 5 * time.Minute  // more can't be configured
	DefaultLeeway = 30 * time.Second // if none is configured
)
