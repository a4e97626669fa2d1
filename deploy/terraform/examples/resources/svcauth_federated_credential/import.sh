# The service account by id or name, the credential by its id.
terraform import svcauth_federated_credential.deploy ci/fed_01h455vb4pex5vsknk084sn02q
