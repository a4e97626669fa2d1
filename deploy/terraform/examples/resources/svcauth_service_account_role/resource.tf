resource "svcauth_service_account" "ci" {
  name = "ci"
}

resource "svcauth_role" "operator" {
  name       = "Cluster operator"
  privileges = ["clusters:view"]
}

resource "svcauth_service_account_role" "ci_operator" {
  service_account_id = svcauth_service_account.ci.id
  role_id            = svcauth_role.operator.id
  expires_at         = "2099-01-01T00:00:00Z" # leave it out for a grant without end
}
