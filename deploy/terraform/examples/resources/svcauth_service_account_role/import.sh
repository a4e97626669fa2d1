# <service account>/<role>, each by id or name.
terraform import svcauth_service_account_role.ci_operator "ci/Cluster operator"
