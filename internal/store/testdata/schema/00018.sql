INSERT INTO credential (id, client_id, org_id, kind, material, hint, description, created_at_ms, created_by_id, created_by_name, expires_at_ms, last_used_ms)
  VALUES ('sec_key', 'ak_old', 'org_old', 'secret', '$s$03', 'abcd', '', 1767323045678, 'mem_old', 'a@b.example', 4102444800000, 1767323045678);
