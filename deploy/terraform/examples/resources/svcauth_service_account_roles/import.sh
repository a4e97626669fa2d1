# The service account, by id or name.
terraform import svcauth_service_account_roles.ci ci
