// Package provider is the Terraform provider: it manages the service accounts, secrets, roles, grants and members of one svcauth organization as code, and lets no
// secret come to rest in a state or plan file.
//
// It owns: the schemas, what a plan shows, and how an apply that was cut off half-way is repaired. It gets its tokens from pkg/tokensource and speaks through
// pkg/svcauth.Client, like any other customer.
//
// It refuses to know: the server's inside (it imports nothing of it), and the rules of who may do what, which the server decides and explains.
package provider
