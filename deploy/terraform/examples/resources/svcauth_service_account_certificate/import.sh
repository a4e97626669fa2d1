# The service account by id or name, the registration by its id.
terraform import svcauth_service_account_certificate.ci ci/crt_01h455vb4pex5vsknk084sn02q
