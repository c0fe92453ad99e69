-- What went wrong, and how often for which task.

-- UP
ALTER TABLE tasks ADD COLUMN failure_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN last_failure_at TEXT;

CREATE TABLE incidents (
    id TEXT PRIMARY KEY,
    task_id TEXT REFERENCES tasks(id),
    runner_id TEXT,
    failure_mode TEXT NOT NULL,
    detected_at TEXT NOT NULL,
    resolved_at TEXT,
    resolution TEXT,
    details TEXT,
    created_at TEXT NOT NULL DEFAULT (datetime('now'))
);
CREATE INDEX idx_incidents_task ON incidents(task_id);
CREATE INDEX idx_incidents_detected ON incidents(detected_at);
CREATE INDEX idx_incidents_unresolved ON incidents(resolved_at) WHERE resolved_at IS NULL;
CREATE INDEX idx_tasks_failures ON tasks(failure_count) WHERE failure_count > 0;

-- DOWN
DROP INDEX idx_tasks_failures;
DROP TABLE incidents;
ALTER TABLE tasks DROP COLUMN last_failure_at;
ALTER TABLE tasks DROP COLUMN failure_count;
