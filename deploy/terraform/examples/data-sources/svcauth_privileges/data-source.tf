data "svcauth_privileges" "all" {}

output "privileges" {
  value = { for p in data.svcauth_privileges.all.privileges : p.name => p.title }
}
