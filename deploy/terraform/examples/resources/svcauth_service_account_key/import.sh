# The service account by id or name, the key by its id.
terraform import svcauth_service_account_key.ci ci/key_01h455vb4pex5vsknk084sn02q
