# <service account>/<role>, each by id or name, in whichever case. If names with slashes leave it open where to cut, give ids.
terraform import svcauth_service_account_role.ci_operator "ci/Cluster operator"
