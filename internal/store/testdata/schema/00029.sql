INSERT INTO assertion_use (id, client_id, expires_at_ms) VALUES ('use_old', 'sa_old', 1767323045678);
INSERT INTO assertion_use_batch (id, uses, expires_at_ms) VALUES ('batch_old', 'use_older sa_old 1767323045678', 1767323045678);
