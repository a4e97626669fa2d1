// Command terraform-provider-svcauth is the plugin that Terraform starts. See
// internal/provider.
package main

import (
	"context"
	"flag"
	"log"

	"github.com/hashicorp/terraform-plugin-framework/providerserver"

	"github.com/svcauth/svcauth/internal/provider"
)

var version = "dev" // set by the build

func main() {
	debug := flag.Bool("debug", false, "run for a debugger, and print how Terraform finds it")
	flag.Parse()
	options := providerserver.ServeOpts{Address: provider.Address, Debug: *debug}
	if err := providerserver.Serve(context.Background(), provider.New(version), options); err != nil {
		log.Fatal(err)
	}
}
