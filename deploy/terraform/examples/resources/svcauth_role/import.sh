# By id or by name.
terraform import svcauth_role.operator role_01h455vb4pex5vsknk084sn02q
terraform import svcauth_role.operator "Cluster operator"
