-- Layout 1 of an unthrottled ledger. To read it: select * from timeline;

-- What happened, in order. The columns are for people; `body` is the whole fact.
CREATE TABLE entries (
    seq         INTEGER PRIMARY KEY,
    at          TEXT NOT NULL,
    scope       TEXT NOT NULL,
    kind        TEXT NOT NULL,
    project     TEXT,
    build       TEXT,
    remediation TEXT,
    body        TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE TRIGGER entries_are_appended BEFORE INSERT ON entries
WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM entries)
BEGIN SELECT raise(ABORT, 'the ledger is only appended to'); END;

CREATE TRIGGER entries_are_not_changed BEFORE UPDATE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is never rewritten'); END;

CREATE TRIGGER entries_are_not_deleted BEFORE DELETE ON entries
BEGIN SELECT raise(ABORT, 'the ledger is never rewritten'); END;

-- The ledger's own id, and up to which entry events were written out.
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Which builds each scope waits for. Not history: replaced at every tick.
CREATE TABLE watch (
    scope TEXT PRIMARY KEY,
    body  TEXT NOT NULL CHECK (json_valid(body))
) STRICT;

CREATE VIEW timeline AS
SELECT
    seq,
    at,
    scope,
    kind,
    coalesce(project, (
        SELECT planned.project FROM entries AS planned
        WHERE planned.remediation = entries.remediation AND planned.kind = 'planned'
    )) AS project,
    build,
    remediation,
    (
        SELECT group_concat(value, ': ') FROM json_tree(entries.body)
        WHERE key IN ('cause', 'remedy', 'reason', 'detail') AND atom IS NOT NULL
    ) AS why
FROM entries
ORDER BY seq;
