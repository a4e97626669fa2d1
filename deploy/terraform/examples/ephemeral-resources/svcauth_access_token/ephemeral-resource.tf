# A token that sees clusters and can do nothing else, for as long as this run needs it.
ephemeral "svcauth_access_token" "clusters" {
  scopes    = ["clusters:view"]
  resources = ["https://api.cloud.example"]
}

# It configures another provider, whose settings may be ephemeral:
#
#   provider "http-api" {
#     token = ephemeral.svcauth_access_token.clusters.access_token
#   }
