-- What only steroidsd needs, in tables of its own: the project's other tables, their ledger and
-- their indexes stay as the older tool made them. No foreign keys into its tables either, or its
-- deletes would fail on us.

-- UP
CREATE TABLE steroidsd_schema (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    version INTEGER NOT NULL
);

CREATE TABLE steroidsd_invocations (
    invocation_id INTEGER PRIMARY KEY,      -- task_invocations.id
    uuid TEXT NOT NULL UNIQUE,              -- names the state folder
    request_id TEXT NOT NULL UNIQUE,
    request_hash TEXT NOT NULL,
    mode TEXT NOT NULL,                     -- fresh, resume
    cwd BLOB NOT NULL,                      -- text, or bytes where the path is not UTF-8
    state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'ended')),
    outcome TEXT,                           -- once ended
    session_id TEXT,
    input_tokens INTEGER,
    output_tokens INTEGER,
    cached_input_tokens INTEGER,
    cache_creation_tokens INTEGER,
    cost_usd REAL,
    user_us INTEGER,                        -- resources of the process tree
    system_us INTEGER,
    max_rss_kib INTEGER,
    leftovers INTEGER,
    limits TEXT NOT NULL,                   -- JSON
    pid INTEGER,                            -- of the provider; never in a table others read
    log_generation INTEGER NOT NULL DEFAULT 0,
    parser_version INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    ended_ms INTEGER
);
CREATE INDEX steroidsd_invocations_state ON steroidsd_invocations(state, outcome);

-- Lifecycle events; the number is a watcher's cursor and is never given twice.
CREATE TABLE steroidsd_events (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    ts_ms INTEGER NOT NULL,
    kind TEXT NOT NULL,
    invocation_id INTEGER,
    task_id TEXT,
    message TEXT NOT NULL DEFAULT ''
);

-- DOWN
DROP TABLE steroidsd_events;
DROP TABLE steroidsd_invocations;
DROP TABLE steroidsd_schema;
