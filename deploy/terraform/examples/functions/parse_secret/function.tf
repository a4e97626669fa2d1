variable "client_secret" {
  type      = string
  sensitive = true
}

# The last four characters, by which the secret is found in the console.
output "hint" {
  value = nonsensitive(provider::svcauth::parse_secret(var.client_secret).hint)
}
