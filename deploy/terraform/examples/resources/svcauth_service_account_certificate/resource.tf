resource "svcauth_service_account" "ci" {
  name = "ci"
}

# Whoever has a certificate with this URI of an authority that the server trusts.
resource "svcauth_service_account_certificate" "ci" {
  service_account_id = svcauth_service_account.ci.id
  san_uri            = "spiffe://example.org/ci"
}
