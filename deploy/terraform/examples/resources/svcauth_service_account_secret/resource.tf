resource "svcauth_service_account" "ci" {
  name = "ci"
}

# Another secret in each run; it is used only where a version below changes.
ephemeral "svcauth_generated_secret" "ci" {}

# To rotate, raise the version: the new secret is added, and the previous one works for another day.
locals {
  secret_version = 1
}

resource "svcauth_service_account_secret" "ci" {
  service_account_id       = svcauth_service_account.ci.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.ci.client_secret
  client_secret_wo_version = local.secret_version
  expires_at               = "2099-06-30T00:00:00Z"
  keep_previous_for        = "24h"
}

# The same value, with the same version, goes to where the consumer finds it, through a write-only argument of another provider:
#
#   resource "vault_kv_secret_v2" "ci" {
#     mount                = "kv"
#     name                 = "ci"
#     data_json_wo         = jsonencode({ client_secret = ephemeral.svcauth_generated_secret.ci.client_secret })
#     data_json_wo_version = local.secret_version
#   }
