// Package internal holds the page on how the house is built, for those who read
// it on a running server.
package internal

import _ "embed"

// Architecture is README.md of this directory.
//
//go:embed README.md
var Architecture []byte
