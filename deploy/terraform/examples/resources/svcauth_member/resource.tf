resource "svcauth_member" "ann" {
  email      = "ann@example.com"
  first_name = "Ann"
  last_name  = "Smith"
}
