-- One row for each run of a provider.

-- UP
CREATE TABLE task_invocations (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    task_id TEXT NOT NULL REFERENCES tasks(id),
    role TEXT NOT NULL,
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    prompt TEXT NOT NULL,
    response TEXT,
    error TEXT,
    exit_code INTEGER NOT NULL DEFAULT 0,
    duration_ms INTEGER NOT NULL DEFAULT 0,
    success INTEGER NOT NULL DEFAULT 0,
    timed_out INTEGER NOT NULL DEFAULT 0,
    rejection_number INTEGER,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_task_invocations_task ON task_invocations(task_id);
CREATE INDEX idx_task_invocations_role ON task_invocations(role);
CREATE INDEX idx_task_invocations_created ON task_invocations(created_at DESC);

-- DOWN
DROP TABLE task_invocations;
