INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id, count, seq)
  VALUES ('evt_placed', 'org_old', 1767323045678, 'mem_old', 'member', 'a@b.example', '', 'role.create', 'role_old', 'role', 'Old', 'done', '', '', '{}', '', '', 1, 1);
