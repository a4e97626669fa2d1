INSERT INTO refusal (id, org_id, client_id, proven, first_ms, last_ms, count, endpoint, code, reason, detail, credential_id, ip, user_agent, request_ids)
  VALUES ('r_old', 'org_old', 'sa_old', TRUE, 1767323045678, 1767323045678, 3, '/oauth2/token', 'invalid_scope', 'scope', 'no', 'sec_key', '192.0.2.1', 'curl', 'req_old');
