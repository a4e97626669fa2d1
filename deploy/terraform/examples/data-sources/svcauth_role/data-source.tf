data "svcauth_role" "administrator" {
  name = "Administrator"
}
