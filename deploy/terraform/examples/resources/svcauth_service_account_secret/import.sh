# The service account by id or name, the secret by id or by its last four characters. The first apply after it rotates nothing.
terraform import svcauth_service_account_secret.ci sa_01h455vb4pex5vsknk084sn02q/sec_01h455vb4pex5vsknk084sn02q
terraform import svcauth_service_account_secret.ci ci/9aZk
