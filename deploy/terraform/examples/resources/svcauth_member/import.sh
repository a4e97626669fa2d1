# By id or by address.
terraform import svcauth_member.ann mem_01h455vb4pex5vsknk084sn02q
terraform import svcauth_member.ann ann@example.com
