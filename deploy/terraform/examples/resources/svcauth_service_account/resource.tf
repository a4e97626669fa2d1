resource "svcauth_service_account" "ci" {
  name                = "ci"
  description         = "Builds and deploys"
  token_ttl_seconds   = 900
  deletion_protection = true
}
