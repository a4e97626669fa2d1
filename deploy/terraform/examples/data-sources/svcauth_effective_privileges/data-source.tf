data "svcauth_service_account" "ci" {
  name = "ci"
}

data "svcauth_effective_privileges" "ci" {
  service_account_id = data.svcauth_service_account.ci.id
}

check "least_privilege" {
  assert {
    condition     = !contains(data.svcauth_effective_privileges.ci.privileges, "members:manage")
    error_message = "ci can manage access, by ${join(", ", lookup(data.svcauth_effective_privileges.ci.sources, "members:manage", []))}."
  }
}
