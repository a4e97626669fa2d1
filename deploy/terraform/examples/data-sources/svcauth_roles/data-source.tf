data "svcauth_roles" "all" {}

output "unused" {
  value = [for r in data.svcauth_roles.all.roles : r.name if r.members + r.service_accounts == 0]
}
