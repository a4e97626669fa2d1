resource "svcauth_service_account" "ci" {
  name = "ci"
}

# A job of GitHub Actions, in the environment production of one repository: by ids, for names can be taken over.
resource "svcauth_federated_credential" "deploy" {
  service_account_id = svcauth_service_account.ci.id
  name               = "deploy"
  preset             = "github"
  claims = {
    repository_id       = "74"
    repository_owner_id = "65"
    environment         = "production"
  }
  strict = true
}
