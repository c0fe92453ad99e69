-- An invocation is a row from its start, not only once it is over.

-- UP
ALTER TABLE task_invocations ADD COLUMN started_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN completed_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN status TEXT DEFAULT 'completed'
    CHECK (status IN ('running', 'completed', 'failed', 'timeout'));

-- Rows until now were written when the run was over. Whole epoch seconds times 1000: julianday
-- arithmetic in floating point is off by one for some of them.
UPDATE task_invocations
SET started_at_ms = CAST(strftime('%s', created_at) AS INTEGER) * 1000,
    completed_at_ms = CAST(strftime('%s', created_at) AS INTEGER) * 1000,
    status = 'completed';

CREATE INDEX idx_task_invocations_task_status
    ON task_invocations(task_id, status, started_at_ms DESC);

-- DOWN
DROP INDEX idx_task_invocations_task_status;
ALTER TABLE task_invocations DROP COLUMN status;
ALTER TABLE task_invocations DROP COLUMN completed_at_ms;
ALTER TABLE task_invocations DROP COLUMN started_at_ms;
