INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id, count)
  VALUES ('evt_joined', 'org_old', 1767323045678, '', 'unknown', 'unknown', '', 'client.authenticate', 'sa_old', 'service_account', 'old account', 'refused', 'wrong', '', '', '', '', 12);
