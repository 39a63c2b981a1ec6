-- +goose Up
-- Ids are random 63-bit integers, times are milliseconds since the Unix epoch (0: not yet).
-- Every primary key starts with what its table would be sharded on; no foreign key crosses that.

CREATE TABLE meta (
    key   TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row. h: the stamp new events get; closed: no event with a stamp <= closed can appear any more.
CREATE TABLE horizon (
    id     INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    h      BIGINT  NOT NULL,
    closed BIGINT  NOT NULL
);
INSERT INTO horizon (id, h, closed) VALUES (1, 1, 0);

CREATE TABLE users (
    user_id       INTEGER NOT NULL PRIMARY KEY,
    handle        TEXT    NOT NULL,
    display_name  TEXT    NOT NULL,
    password_hash TEXT,
    role          TEXT    NOT NULL,
    next_slot     BIGINT  NOT NULL DEFAULT 1,
    read_receipts BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    BIGINT  NOT NULL,
    disabled_at   BIGINT  NOT NULL DEFAULT 0,
    deleted_at    BIGINT  NOT NULL DEFAULT 0
);

CREATE TABLE handles (
    handle  TEXT   NOT NULL PRIMARY KEY,
    user_id BIGINT NOT NULL
) WITHOUT ROWID;

-- Accounts of a host application, by issuer and subject.
CREATE TABLE identities (
    iss     TEXT   NOT NULL,
    sub     TEXT   NOT NULL,
    user_id BIGINT NOT NULL,
    PRIMARY KEY (iss, sub)
) WITHOUT ROWID;

CREATE TABLE sessions (
    user_id      BIGINT NOT NULL,
    session_id   BIGINT NOT NULL,
    secret_hash  BLOB   NOT NULL,
    device_name  TEXT   NOT NULL,
    scopes       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    ended_at     BIGINT NOT NULL DEFAULT 0,
    PRIMARY KEY (user_id, session_id)
);
CREATE UNIQUE INDEX sessions_secret ON sessions (user_id, secret_hash);

-- What ended a session (session_id 0: all of a user's), stamped so that every node's sweep finds it.
CREATE TABLE revocations (
    user_id    BIGINT NOT NULL,
    session_id BIGINT NOT NULL,
    stamp      BIGINT NOT NULL,
    PRIMARY KEY (user_id, session_id, stamp)
) WITHOUT ROWID;
CREATE INDEX revocations_stamp ON revocations (stamp);

CREATE TABLE conversations (
    conversation_id  INTEGER NOT NULL PRIMARY KEY,
    kind             TEXT    NOT NULL,
    title            TEXT    NOT NULL,
    history          TEXT    NOT NULL,
    creator_id       BIGINT  NOT NULL,
    created_at       BIGINT  NOT NULL,
    first_seq        BIGINT  NOT NULL,
    last_seq         BIGINT  NOT NULL,
    last_accepted_at BIGINT  NOT NULL,
    last_stamp       BIGINT  NOT NULL
);

CREATE TABLE direct_pairs (
    low_user        BIGINT NOT NULL,
    high_user       BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    PRIMARY KEY (low_user, high_user)
) WITHOUT ROWID;

-- Makes creating a group idempotent.
CREATE TABLE creations (
    creator_id      BIGINT NOT NULL,
    client_id       TEXT   NOT NULL,
    request_hash    BLOB   NOT NULL,
    conversation_id BIGINT NOT NULL,
    PRIMARY KEY (creator_id, client_id)
) WITHOUT ROWID;

-- Who may read what: one row per stretch. to_seq 0: a member now. join_seq: the event
-- that began the stretch (1: created), above from_seq where new members read history.
CREATE TABLE members (
    conversation_id BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    from_seq        BIGINT NOT NULL,
    to_seq          BIGINT NOT NULL DEFAULT 0,
    join_seq        BIGINT NOT NULL,
    role            TEXT   NOT NULL,
    PRIMARY KEY (conversation_id, user_id, from_seq)
) WITHOUT ROWID;

-- The same from the user's side: the latest stretch; the slot is given at the first join and kept for ever.
CREATE TABLE memberships (
    user_id         BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    slot            BIGINT NOT NULL,
    from_seq        BIGINT NOT NULL,
    to_seq          BIGINT NOT NULL DEFAULT 0,
    role            TEXT   NOT NULL,
    stamp           BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
CREATE UNIQUE INDEX memberships_slot ON memberships (user_id, slot);
CREATE INDEX memberships_stamp ON memberships (stamp);

-- A rowid table: a batch appends to its end, and touches one page an event in the index by conversation.
-- There is no index of messages alone: unread counts and the state view read a range of events_seq, and each further
-- index would cost every send another page.
CREATE TABLE events (
    event_id        INTEGER NOT NULL PRIMARY KEY,
    conversation_id BIGINT  NOT NULL,
    seq             BIGINT  NOT NULL,
    type            TEXT    NOT NULL,
    sender_id       BIGINT  NOT NULL,
    client_id       TEXT,
    text            TEXT    NOT NULL DEFAULT '',
    target_seq      BIGINT  NOT NULL DEFAULT 0,
    subject_id      BIGINT  NOT NULL DEFAULT 0,
    action          TEXT    NOT NULL DEFAULT '',
    accepted_at     BIGINT  NOT NULL,
    stamp           BIGINT  NOT NULL,
    extra           TEXT    NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX events_seq ON events (conversation_id, seq);
CREATE INDEX events_stamp ON events (stamp, conversation_id, seq);
CREATE INDEX events_target ON events (conversation_id, target_seq) WHERE target_seq > 0;

-- Which event a client_id made, for the events up to client_ids_end. Sends do not write here: the rows of many are
-- brought over at once (store/sqlite/clientids.go), and until then found at the end of events.
CREATE TABLE client_ids (
    conversation_id BIGINT NOT NULL,
    sender_id       BIGINT NOT NULL,
    client_id       TEXT   NOT NULL,
    seq             BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, sender_id, client_id)
) WITHOUT ROWID;
CREATE TABLE client_ids_end (
    id       INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
    event_id BIGINT  NOT NULL
);
INSERT INTO client_ids_end (id, event_id) VALUES (1, 0);

-- One row per move of a watermark; the time for seq s is that of the first row >= s.
CREATE TABLE receipts (
    conversation_id BIGINT NOT NULL,
    kind            TEXT   NOT NULL,
    user_id         BIGINT NOT NULL,
    seq             BIGINT NOT NULL,
    at              BIGINT NOT NULL,
    stamp           BIGINT NOT NULL,
    PRIMARY KEY (conversation_id, kind, user_id, seq)
) WITHOUT ROWID;

-- The latest watermarks of a member.
CREATE TABLE watermarks (
    user_id         BIGINT NOT NULL,
    conversation_id BIGINT NOT NULL,
    delivered_seq   BIGINT NOT NULL DEFAULT 0,
    notified_seq    BIGINT NOT NULL DEFAULT 0,
    read_seq        BIGINT NOT NULL DEFAULT 0,
    stamp           BIGINT NOT NULL,
    PRIMARY KEY (user_id, conversation_id)
) WITHOUT ROWID;
CREATE INDEX watermarks_stamp ON watermarks (stamp);
CREATE INDEX watermarks_conversation ON watermarks (conversation_id, stamp);

-- +goose Down
DROP TABLE watermarks;
DROP TABLE receipts;
DROP TABLE client_ids_end;
DROP TABLE client_ids;
DROP TABLE events;
DROP TABLE memberships;
DROP TABLE members;
DROP TABLE creations;
DROP TABLE direct_pairs;
DROP TABLE conversations;
DROP TABLE revocations;
DROP TABLE sessions;
DROP TABLE identities;
DROP TABLE handles;
DROP TABLE users;
DROP TABLE horizon;
DROP TABLE meta;
