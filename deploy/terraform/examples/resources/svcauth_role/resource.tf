resource "svcauth_role" "operator" {
  name        = "Cluster operator"
  description = "Sees, suspends and resumes clusters"
  privileges  = ["clusters:view", "clusters:suspend", "clusters:resume"]
}
