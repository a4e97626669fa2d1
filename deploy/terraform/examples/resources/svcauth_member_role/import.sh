# <member>/<role>: the member by id or address, the role by id or name.
terraform import svcauth_member_role.ann_administrator ann@example.com/Administrator
