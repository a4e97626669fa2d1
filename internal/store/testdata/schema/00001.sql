INSERT INTO organization (id, name, name_key, operator, may_manage, pol, version, created_at_ms) VALUES ('org_old', 'Old', 'old', TRUE, FALSE, 3, 1, 1767323045678);
INSERT INTO member (id, org_id, email, email_key, first_name, last_name, suspended, password_hash, session_epoch, created_at_ms, created_by_id, created_by_name, version)
  VALUES ('mem_old', 'org_old', 'a@b.example', 'a@b.example', 'A', 'B', FALSE, 'x', 0, 1767323045678, 'system', 'svcauth', 1);
INSERT INTO invitation (token_hash, org_id, member_id, kind, expires_at_ms) VALUES (x'01', 'org_old', 'mem_old', 'reset', 1767323045678);
INSERT INTO session (token_hash, data, expires_at_ms) VALUES ('h', x'0203', 1767323045678);
INSERT INTO client (id, org_id, kind, name, name_key, description, disabled, ttl_s, epoch, created_at_ms, created_by_id, created_by_name, version)
  VALUES ('sa_old', 'org_old', 'sa', 'old account', 'old account', '', FALSE, 0, 2, 1767323045678, 'mem_old', 'a@b.example', 1);
INSERT INTO client (id, org_id, kind, member_id, name, description, disabled, ttl_s, epoch, created_at_ms, created_by_id, created_by_name, version)
  VALUES ('ak_old', 'org_old', 'ak', 'mem_old', '', '', FALSE, 0, 0, 1767323045678, 'mem_old', 'a@b.example', 1);
INSERT INTO secret (id, client_id, org_id, scheme, hash, hint, description, created_at_ms) VALUES ('sec_old', 'sa_old', 'org_old', 's', x'0102ff', 'abcd', '', 1767323045678);
INSERT INTO role (id, org_id, kind, name, name_key, description, created_at_ms, version) VALUES ('role_public', 'org_old', 'public', 'Public', 'public', '', 1767323045678, 1);
INSERT INTO role (id, org_id, kind, name, name_key, description, created_at_ms, version) VALUES ('role_old', 'org_old', 'custom', 'Old', 'old', '', 1767323045678, 1);
INSERT INTO role_privilege (role_id, privilege) VALUES ('role_old', 'clusters:view');
INSERT INTO role_grant (principal_id, role_id, org_id, granted_at_ms) VALUES ('sa_old', 'role_old', 'org_old', 1767323045678);
INSERT INTO api (audience, name, description, position) VALUES ('https://api.example', 'API', '', 0);
INSERT INTO privilege (name, api, title, description, position) VALUES ('clusters:view', 'https://api.example', 'View', '', 0);
UPDATE change_counter SET seq = 1;
INSERT INTO change (seq, org_id, kind, subject, payload, expires_at_ms) VALUES (1, 'org_old', 'revocation', '', '{"jti":"j"}', 4102444800000);
INSERT INTO signing_key (kid, algorithm, state, public_der, sealed, created_at_ms) VALUES ('kid', 'ES256', 'next', x'01', x'02', 1767323045678);
INSERT INTO data_key (name, sealed, created_at_ms) VALUES ('secret-hash', x'01', 1767323045678);
INSERT INTO audit_event (id, org_id, at_ms, actor_id, actor_kind, actor_name, actor_client, action, target_id, target_kind, target_name, outcome, reason, before_json, after_json, ip, request_id)
  VALUES ('evt_old', 'org_old', 1767323045678, 'system', 'system', 'svcauth', '', 'x.y', 'sa_old', 'service_account', 'old account', 'done', '', '', '', '', '');
