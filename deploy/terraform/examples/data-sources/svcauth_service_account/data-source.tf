data "svcauth_service_account" "ci" {
  name = "ci"
}

output "secrets_that_never_expire" {
  value = [for s in data.svcauth_service_account.ci.secrets : s.id if s.expires_at == null]
}
