data "svcauth_api" "clusters" {
  audience = "https://api.cloud.example"
}

resource "svcauth_role" "reader" {
  name       = "Reader"
  privileges = [for p in data.svcauth_api.clusters.privileges : p if endswith(p, ":view")]
}
