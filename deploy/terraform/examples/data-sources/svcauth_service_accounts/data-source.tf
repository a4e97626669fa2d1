data "svcauth_service_accounts" "builds" {
  name_prefix = "build-"
}

output "never_used" {
  value = [for a in data.svcauth_service_accounts.builds.service_accounts : a.name if a.last_used_at == null]
}
