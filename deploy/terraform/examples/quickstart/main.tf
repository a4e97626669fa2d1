# A service account with a role of its own and a secret that nothing keeps. Run it against `make run`: deploy/terraform/try apply
terraform {
  required_version = ">= 1.11"
  required_providers {
    svcauth = {
      source = "svcauth/svcauth"
    }
  }
}

variable "secret_version" {
  description = "Raise it to rotate the secret: -var secret_version=2"
  type        = number
  default     = 1
}

ephemeral "svcauth_generated_secret" "robot" {}

resource "svcauth_role" "viewer" {
  name        = "Cluster viewer"
  description = "Sees clusters"
  privileges  = ["clusters:view"]
}

resource "svcauth_service_account" "robot" {
  name              = "robot"
  description       = "Made by the Terraform example"
  token_ttl_seconds = 600
}

resource "svcauth_service_account_role" "robot_viewer" {
  service_account_id = svcauth_service_account.robot.id
  role_id            = svcauth_role.viewer.id
}

resource "svcauth_service_account_secret" "robot" {
  service_account_id       = svcauth_service_account.robot.id
  client_secret_wo         = ephemeral.svcauth_generated_secret.robot.client_secret
  client_secret_wo_version = var.secret_version
  keep_previous_for        = "1h"
}

data "svcauth_effective_privileges" "robot" {
  service_account_id = svcauth_service_account.robot.id
  depends_on         = [svcauth_service_account_role.robot_viewer]
}

output "client_id" {
  value = svcauth_service_account.robot.client_id
}

output "privileges" {
  value = data.svcauth_effective_privileges.robot.privileges
}

output "secret_hint" {
  description = "The secret's last four characters. The secret itself is in no state: the guide shows how to hand it over."
  value       = svcauth_service_account_secret.robot.hint
}
