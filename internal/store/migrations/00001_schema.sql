-- +goose Up
-- One text for SQLite and PostgreSQL: when it is applied to PostgreSQL, COLLATE BINARY becomes COLLATE "C" (so that ids and
-- names sort by bytes on both) and BLOB becomes BYTEA. Moments are milliseconds since 1970, named _ms.

CREATE TABLE organization (
  id            TEXT COLLATE BINARY PRIMARY KEY,
  name          TEXT NOT NULL,
  name_key      TEXT COLLATE BINARY NOT NULL UNIQUE,
  operator      BOOLEAN NOT NULL,
  may_manage    BOOLEAN NOT NULL,
  pol           BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  created_at_ms BIGINT NOT NULL
);

CREATE TABLE member (
  id              TEXT COLLATE BINARY PRIMARY KEY,
  org_id          TEXT COLLATE BINARY NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  email           TEXT NOT NULL,
  email_key       TEXT COLLATE BINARY NOT NULL,
  first_name      TEXT NOT NULL,
  last_name       TEXT NOT NULL,
  suspended       BOOLEAN NOT NULL,
  password_hash   TEXT NOT NULL,               -- argon2id in PHC form; empty until the invitation is accepted
  session_epoch   BIGINT NOT NULL,             -- sessions that carry a lower one have ended
  created_at_ms   BIGINT NOT NULL,
  created_by_id   TEXT NOT NULL,
  created_by_name TEXT NOT NULL,
  activated_at_ms BIGINT,
  last_sign_in_ms BIGINT,
  version         BIGINT NOT NULL,
  UNIQUE (org_id, email_key)
);
CREATE INDEX member_email ON member (email_key);

CREATE TABLE invitation (
  token_hash    BLOB PRIMARY KEY,              -- SHA-256 of the one-time token
  org_id        TEXT COLLATE BINARY NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  member_id     TEXT COLLATE BINARY NOT NULL REFERENCES member (id) ON DELETE CASCADE,
  kind          TEXT NOT NULL,                 -- invite or reset
  expires_at_ms BIGINT NOT NULL
);
CREATE INDEX invitation_member ON invitation (member_id);
CREATE INDEX invitation_expiry ON invitation (expires_at_ms);

CREATE TABLE session (
  token_hash    TEXT COLLATE BINARY PRIMARY KEY,
  data          BLOB NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
CREATE INDEX session_expiry ON session (expires_at_ms);

CREATE TABLE client (
  id              TEXT COLLATE BINARY PRIMARY KEY,
  org_id          TEXT COLLATE BINARY NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  kind            TEXT NOT NULL,               -- sa or ak
  member_id       TEXT COLLATE BINARY REFERENCES member (id) ON DELETE CASCADE, -- of an application key only
  name            TEXT NOT NULL,               -- empty for an application key
  name_key        TEXT COLLATE BINARY,         -- null for an application key
  description     TEXT NOT NULL,
  disabled        BOOLEAN NOT NULL,
  ttl_s           BIGINT NOT NULL,             -- 0: the server's default
  epoch           BIGINT NOT NULL,
  created_at_ms   BIGINT NOT NULL,
  created_by_id   TEXT NOT NULL,
  created_by_name TEXT NOT NULL,
  last_used_ms    BIGINT,
  version         BIGINT NOT NULL,
  UNIQUE (org_id, name_key)
);
CREATE INDEX client_page ON client (org_id, kind, id);
CREATE INDEX client_member ON client (member_id);

CREATE TABLE secret (
  id            TEXT COLLATE BINARY PRIMARY KEY,
  client_id     TEXT COLLATE BINARY NOT NULL REFERENCES client (id) ON DELETE CASCADE,
  org_id        TEXT COLLATE BINARY NOT NULL,
  scheme        TEXT NOT NULL,                 -- how hash was made, so that others can be imported
  hash          BLOB NOT NULL,
  hint          TEXT NOT NULL,
  description   TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT,
  last_used_ms  BIGINT
);
CREATE INDEX secret_client ON secret (client_id);
CREATE INDEX secret_expiry ON secret (expires_at_ms);

CREATE TABLE role (
  id            TEXT COLLATE BINARY PRIMARY KEY,
  org_id        TEXT COLLATE BINARY NOT NULL REFERENCES organization (id) ON DELETE CASCADE,
  kind          TEXT NOT NULL,                 -- custom, administrator or public
  name          TEXT NOT NULL,
  name_key      TEXT COLLATE BINARY NOT NULL,
  description   TEXT NOT NULL,
  created_at_ms BIGINT NOT NULL,
  version       BIGINT NOT NULL,
  UNIQUE (org_id, name_key)
);
CREATE INDEX role_page ON role (org_id, id);

CREATE TABLE role_privilege (
  role_id   TEXT COLLATE BINARY NOT NULL REFERENCES role (id) ON DELETE CASCADE,
  privilege TEXT COLLATE BINARY NOT NULL,
  PRIMARY KEY (role_id, privilege)
);
CREATE INDEX role_privilege_name ON role_privilege (privilege);

CREATE TABLE role_grant (
  principal_id  TEXT COLLATE BINARY NOT NULL,  -- a member's or a service account's id
  role_id       TEXT COLLATE BINARY NOT NULL REFERENCES role (id) ON DELETE CASCADE,
  org_id        TEXT COLLATE BINARY NOT NULL,
  granted_at_ms BIGINT NOT NULL,
  expires_at_ms BIGINT,
  PRIMARY KEY (principal_id, role_id)
);
CREATE INDEX role_grant_role ON role_grant (role_id, principal_id);
CREATE INDEX role_grant_expiry ON role_grant (expires_at_ms);

CREATE TABLE api (
  audience    TEXT COLLATE BINARY PRIMARY KEY,
  name        TEXT NOT NULL,
  description TEXT NOT NULL,
  position    BIGINT NOT NULL                  -- as in the catalogue
);

CREATE TABLE privilege (
  name        TEXT COLLATE BINARY PRIMARY KEY,
  api         TEXT COLLATE BINARY NOT NULL,
  title       TEXT NOT NULL,
  description TEXT NOT NULL,
  position    BIGINT NOT NULL
);

CREATE TABLE change_counter (
  one BIGINT PRIMARY KEY CHECK (one = 1),
  seq BIGINT NOT NULL
);
INSERT INTO change_counter (one, seq) VALUES (1, 0);

CREATE TABLE change (
  seq           BIGINT PRIMARY KEY,
  org_id        TEXT COLLATE BINARY NOT NULL,
  kind          TEXT NOT NULL,
  subject       TEXT NOT NULL,
  payload       TEXT NOT NULL,
  expires_at_ms BIGINT NOT NULL
);
CREATE INDEX change_expiry ON change (expires_at_ms);

CREATE TABLE signing_key (
  kid             TEXT COLLATE BINARY PRIMARY KEY,
  algorithm       TEXT NOT NULL,
  state           TEXT NOT NULL,               -- next, active, retired
  public_der      BLOB NOT NULL,
  sealed          BLOB NOT NULL,               -- private key under the master key, kid as associated data
  created_at_ms   BIGINT NOT NULL,
  activated_at_ms BIGINT,
  retired_at_ms   BIGINT,
  delete_after_ms BIGINT
);

CREATE TABLE data_key (
  name          TEXT PRIMARY KEY,
  sealed        BLOB NOT NULL,
  created_at_ms BIGINT NOT NULL
);

CREATE TABLE audit_event (
  id            TEXT COLLATE BINARY PRIMARY KEY,
  org_id        TEXT COLLATE BINARY NOT NULL,  -- no foreign key: the log outlives what it tells of
  at_ms         BIGINT NOT NULL,
  actor_id      TEXT COLLATE BINARY NOT NULL,
  actor_kind    TEXT NOT NULL,
  actor_name    TEXT NOT NULL,
  actor_client  TEXT NOT NULL,
  action        TEXT NOT NULL,
  target_id     TEXT COLLATE BINARY NOT NULL,
  target_kind   TEXT NOT NULL,
  target_name   TEXT NOT NULL,
  outcome       TEXT NOT NULL,
  reason        TEXT NOT NULL,
  before_json   TEXT NOT NULL,
  after_json    TEXT NOT NULL,
  ip            TEXT NOT NULL,
  request_id    TEXT NOT NULL
);
CREATE INDEX audit_event_page ON audit_event (org_id, id);
CREATE INDEX audit_event_actor ON audit_event (org_id, actor_id, id);
CREATE INDEX audit_event_target ON audit_event (org_id, target_id, id);
CREATE INDEX audit_event_age ON audit_event (at_ms);
