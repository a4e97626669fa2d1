// Package config holds the configuration files that ship with svcauth, and
// embeds the two that the program falls back on. It owns the text;
// internal/config gives it a meaning.
package config

import _ "embed"

// Defaults is svcauth.yaml: every key with its default value.
//
//go:embed svcauth.yaml
var Defaults []byte

// Catalog is catalog.yaml: the example APIs and privileges that are used if
// catalog_file is empty.
//
//go:embed catalog.yaml
var Catalog []byte
