-- What the older tool's later migrations, up to its newest, put to the tables we read. Run on top
-- of schema-009.sql.
ALTER TABLE task_invocations ADD COLUMN started_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN completed_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN status TEXT DEFAULT 'completed'
  CHECK(status IN ('running','completed','failed','timeout'));
CREATE INDEX idx_task_invocations_task_status
  ON task_invocations(task_id, status, started_at_ms DESC);
ALTER TABLE task_invocations ADD COLUMN session_id TEXT;
ALTER TABLE task_invocations ADD COLUMN resumed_from_session_id TEXT;
ALTER TABLE task_invocations ADD COLUMN invocation_mode TEXT DEFAULT 'fresh';
ALTER TABLE task_invocations ADD COLUMN token_usage_json TEXT;
ALTER TABLE task_invocations ADD COLUMN last_activity_at_ms INTEGER;
ALTER TABLE task_invocations ADD COLUMN runner_id TEXT;
ALTER TABLE tasks ADD COLUMN description TEXT;
ALTER TABLE tasks ADD COLUMN reference_commit TEXT;
ALTER TABLE tasks ADD COLUMN reference_commit_message TEXT;
ALTER TABLE tasks ADD COLUMN reference_task_id TEXT;
ALTER TABLE tasks ADD COLUMN is_follow_up INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN requires_promotion INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN follow_up_depth INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN dedupe_key TEXT;
ALTER TABLE tasks ADD COLUMN start_commit_sha TEXT;
ALTER TABLE tasks ADD COLUMN conflict_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN blocked_reason TEXT;
ALTER TABLE tasks ADD COLUMN merge_failure_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tasks ADD COLUMN merge_phase TEXT;
ALTER TABLE tasks ADD COLUMN approved_sha TEXT;
ALTER TABLE tasks ADD COLUMN rebase_attempts INTEGER DEFAULT 0;
ALTER TABLE sections ADD COLUMN branch TEXT;
ALTER TABLE sections ADD COLUMN auto_pr INTEGER NOT NULL DEFAULT 0;
ALTER TABLE sections ADD COLUMN pr_number INTEGER;
ALTER TABLE sections ADD COLUMN coder_provider TEXT;
ALTER TABLE sections ADD COLUMN coder_model TEXT;
ALTER TABLE sections ADD COLUMN pr_labels TEXT;
ALTER TABLE sections ADD COLUMN pr_draft INTEGER NOT NULL DEFAULT 0;
ALTER TABLE audit ADD COLUMN category TEXT;
ALTER TABLE audit ADD COLUMN error_code TEXT;
ALTER TABLE audit ADD COLUMN metadata TEXT;
WITH RECURSIVE later(id) AS (SELECT 10 UNION ALL SELECT id + 1 FROM later WHERE id < 28)
  INSERT INTO _migrations (id, name, checksum)
  SELECT id, iif(id = 10, '010_add_lifecycle_timestamps', printf('%03d_of_the_older_tool', id)), 'x'
  FROM later;
UPDATE _schema SET value = '28' WHERE key = 'version';
UPDATE _schema SET value = '028_of_the_older_tool' WHERE key = 'last_migration';
