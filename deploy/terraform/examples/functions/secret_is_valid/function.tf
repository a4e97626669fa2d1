variable "client_secret" {
  type      = string
  ephemeral = true

  validation {
    condition     = provider::svcauth::secret_is_valid(var.client_secret)
    error_message = "Not a client secret, or mistyped: its check sum does not match."
  }
}
