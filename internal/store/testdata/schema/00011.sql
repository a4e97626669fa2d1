UPDATE change_counter SET seq = 2;
INSERT INTO change (seq, org_id, kind, subject, role, privilege, payload, expires_at_ms, at_ms)
  VALUES (2, 'org_old', 'revocation', 'org_old', 'old role', 'p:q', '{"org_id":"org_old","role":"old role","privilege":"p:q","min_pol":1}', 4102444800000, 0);
