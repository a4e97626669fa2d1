// Package docs holds the pages for those who use, run and judge svcauth.
// Package internal/guide shows them at /docs of a running server.
package docs

import "embed"

// Pages are the pages, in Markdown.
//
//go:embed *.md
var Pages embed.FS
