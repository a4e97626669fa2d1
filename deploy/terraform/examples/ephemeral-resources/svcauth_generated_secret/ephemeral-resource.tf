ephemeral "svcauth_generated_secret" "ci" {}

resource "svcauth_service_account" "ci" {
  name = "ci"
}

resource "svcauth_service_account_secret" "ci" {
  service_account_id       = svcauth_service_account.ci.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.ci.client_secret
  client_secret_wo_version = 1
}

# Whatever else takes the value is tied to svcauth_service_account_secret.ci.generation: see the guide on secrets.
