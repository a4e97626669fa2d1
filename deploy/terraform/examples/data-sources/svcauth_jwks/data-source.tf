data "svcauth_jwks" "keys" {}

output "jwks" {
  value = data.svcauth_jwks.keys.json
}
