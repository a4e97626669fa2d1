resource "svcauth_member" "ann" {
  email      = "ann@example.com"
  first_name = "Ann"
  last_name  = "Smith"
}

data "svcauth_role" "administrator" {
  name = "Administrator"
}

resource "svcauth_member_role" "ann_administrator" {
  member_id = svcauth_member.ann.id
  role_id   = data.svcauth_role.administrator.id
}

data "svcauth_role" "operator" {
  name = "Cluster operator"
}

resource "svcauth_member_role" "ann_on_call" {
  member_id  = svcauth_member.ann.id
  role_id    = data.svcauth_role.operator.id
  expires_at = "2099-01-01T00:00:00Z" # leave it out for a grant without end
}
