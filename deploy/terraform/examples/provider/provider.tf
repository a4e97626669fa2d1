terraform {
  required_version = ">= 1.11" # write-only arguments
  required_providers {
    svcauth = {
      source = "svcauth/svcauth"
    }
  }
}

# The credential comes from SVCAUTH_CLIENT_ID and SVCAUTH_CLIENT_SECRET, or from a profile: it need not be in any file of Terraform's.
provider "svcauth" {
  url = "https://auth.example.com"
}
