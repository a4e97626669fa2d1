resource "svcauth_service_account" "ci" {
  name = "ci"
}

resource "svcauth_role" "operator" {
  name       = "Cluster operator"
  privileges = ["clusters:view"]
}

# What anybody else grants to this account is shown in the next plan, and taken away.
resource "svcauth_service_account_roles" "ci" {
  service_account_id = svcauth_service_account.ci.id
  role_ids           = [svcauth_role.operator.id]
}
