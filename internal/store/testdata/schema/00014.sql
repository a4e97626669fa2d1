INSERT INTO recorder (node, seen_at_ms, recorded_until_ms) VALUES ('node_old', 1767323045678, 1767323045000);
