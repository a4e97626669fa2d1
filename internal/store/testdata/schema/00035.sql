INSERT INTO assertion_gap (cause, at_ms) VALUES ('crashed', 1767323045678);
INSERT INTO assertion_gap (cause, at_ms) VALUES ('restored', 1767323045678);
