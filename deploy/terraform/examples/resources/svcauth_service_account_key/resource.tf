resource "svcauth_service_account" "ci" {
  name = "ci"
}

# svcauth key create makes a pair; only the public half comes here.
resource "svcauth_service_account_key" "ci" {
  service_account_id = svcauth_service_account.ci.id
  description        = "signing machine"
  public_key         = <<-EOT
    -----BEGIN PUBLIC KEY-----
    MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=
    -----END PUBLIC KEY-----
  EOT
}
