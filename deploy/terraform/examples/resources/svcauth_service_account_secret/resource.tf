resource "svcauth_service_account" "ci" {
  name = "ci"
}

# Another secret in each run; it is used only in a run that makes or rotates the one below.
ephemeral "svcauth_generated_secret" "ci" {}

resource "svcauth_service_account_secret" "ci" {
  service_account_id       = svcauth_service_account.ci.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.ci.client_secret
  client_secret_wo_version = 1 # raise it to rotate: the new secret is added, and the previous one works for another day
  expires_at               = "2099-06-30T00:00:00Z"
  keep_previous_for        = "24h"
}

# The same value goes to where the consumer finds it, through a write-only argument of another provider. By the generation
# it is written whenever the secret is another one, also because somebody has deleted the account:
#
#   resource "vault_kv_secret_v2" "ci" {
#     mount = "kv"
#     name  = "ci"
#     data_json_wo = jsonencode({
#       client_id     = svcauth_service_account.ci.client_id
#       client_secret = ephemeral.svcauth_generated_secret.ci.client_secret
#     })
#     data_json_wo_version = svcauth_service_account_secret.ci.generation
#   }
