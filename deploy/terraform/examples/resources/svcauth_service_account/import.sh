# By id or by name.
terraform import svcauth_service_account.ci sa_01h455vb4pex5vsknk084sn02q
terraform import svcauth_service_account.ci ci
