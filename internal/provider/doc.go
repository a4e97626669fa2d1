// Package provider is the Terraform provider. It manages the service accounts,
// secrets, roles, grants and members of one svcauth organization as code, and
// never stores a secret in a state or plan file.
//
// It owns the schemas, what a plan shows, and the repair of an apply that was
// cut off half-way. It gets its tokens from pkg/tokensource and speaks through
// pkg/svcauth.Client, like any other customer.
//
// It refuses to know the server's internals, of which it imports nothing, and
// the rules of who may do what: the server decides and explains.
package provider
