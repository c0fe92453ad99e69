-- The older tool's database after its ninth migration, written down from what that tool leaves and
-- not from our migrations, so that a mistake in those shows.
CREATE TABLE _schema (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE _migrations (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, checksum TEXT NOT NULL,
  applied_at TEXT NOT NULL DEFAULT (datetime('now')));
CREATE TABLE sections (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, position INTEGER NOT NULL,
  created_at TEXT NOT NULL DEFAULT (datetime('now')), priority INTEGER DEFAULT 50,
  skipped INTEGER DEFAULT 0);
CREATE TABLE tasks (
  id TEXT PRIMARY KEY, title TEXT NOT NULL, status TEXT NOT NULL DEFAULT 'pending',
  section_id TEXT REFERENCES sections(id), source_file TEXT,
  rejection_count INTEGER NOT NULL DEFAULT 0,
  created_at TEXT NOT NULL DEFAULT (datetime('now')),
  updated_at TEXT NOT NULL DEFAULT (datetime('now')),
  file_path TEXT, file_line INTEGER, file_commit_sha TEXT, file_content_hash TEXT,
  failure_count INTEGER NOT NULL DEFAULT 0, last_failure_at TEXT);
CREATE TABLE audit (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL REFERENCES tasks(id),
  from_status TEXT, to_status TEXT NOT NULL, actor TEXT NOT NULL, notes TEXT,
  created_at TEXT NOT NULL DEFAULT (datetime('now')), commit_sha TEXT,
  actor_type TEXT DEFAULT 'human', model TEXT);
CREATE TABLE disputes (
  id TEXT PRIMARY KEY, task_id TEXT NOT NULL REFERENCES tasks(id), type TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'open', reason TEXT NOT NULL, coder_position TEXT,
  reviewer_position TEXT, resolution TEXT, resolution_notes TEXT, created_by TEXT NOT NULL,
  resolved_by TEXT, created_at TEXT NOT NULL DEFAULT (datetime('now')), resolved_at TEXT);
CREATE TABLE task_locks (
  task_id TEXT PRIMARY KEY REFERENCES tasks(id), runner_id TEXT NOT NULL,
  acquired_at TEXT NOT NULL DEFAULT (datetime('now')), expires_at TEXT NOT NULL,
  heartbeat_at TEXT NOT NULL DEFAULT (datetime('now')));
CREATE TABLE section_locks (
  section_id TEXT PRIMARY KEY REFERENCES sections(id), runner_id TEXT NOT NULL,
  acquired_at TEXT NOT NULL DEFAULT (datetime('now')), expires_at TEXT NOT NULL);
CREATE TABLE section_dependencies (
  id TEXT PRIMARY KEY, section_id TEXT NOT NULL REFERENCES sections(id),
  depends_on_section_id TEXT NOT NULL REFERENCES sections(id),
  created_at TEXT DEFAULT (datetime('now')), UNIQUE(section_id, depends_on_section_id));
CREATE TABLE task_invocations (
  id INTEGER PRIMARY KEY AUTOINCREMENT, task_id TEXT NOT NULL REFERENCES tasks(id),
  role TEXT NOT NULL, provider TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
  response TEXT, error TEXT, exit_code INTEGER NOT NULL DEFAULT 0,
  duration_ms INTEGER NOT NULL DEFAULT 0, success INTEGER NOT NULL DEFAULT 0,
  timed_out INTEGER NOT NULL DEFAULT 0, rejection_number INTEGER,
  created_at TEXT NOT NULL DEFAULT (datetime('now')));
CREATE TABLE incidents (
  id TEXT PRIMARY KEY, task_id TEXT REFERENCES tasks(id), runner_id TEXT,
  failure_mode TEXT NOT NULL, detected_at TEXT NOT NULL, resolved_at TEXT, resolution TEXT,
  details TEXT, created_at TEXT NOT NULL DEFAULT (datetime('now')));
CREATE INDEX idx_audit_commit ON audit(commit_sha);
CREATE INDEX idx_audit_task ON audit(task_id);
CREATE INDEX idx_disputes_status ON disputes(status);
CREATE INDEX idx_disputes_task ON disputes(task_id);
CREATE INDEX idx_incidents_detected ON incidents(detected_at);
CREATE INDEX idx_incidents_task ON incidents(task_id);
CREATE INDEX idx_incidents_unresolved ON incidents(resolved_at) WHERE resolved_at IS NULL;
CREATE INDEX idx_section_dependencies_depends_on ON section_dependencies(depends_on_section_id);
CREATE INDEX idx_section_dependencies_section ON section_dependencies(section_id);
CREATE INDEX idx_section_locks_expires ON section_locks(expires_at);
CREATE INDEX idx_sections_priority ON sections(priority);
CREATE INDEX idx_task_invocations_created ON task_invocations(created_at DESC);
CREATE INDEX idx_task_invocations_role ON task_invocations(role);
CREATE INDEX idx_task_invocations_task ON task_invocations(task_id);
CREATE INDEX idx_task_locks_expires ON task_locks(expires_at);
CREATE INDEX idx_tasks_failures ON tasks(failure_count) WHERE failure_count > 0;
CREATE INDEX idx_tasks_section ON tasks(section_id);
CREATE INDEX idx_tasks_status ON tasks(status);
INSERT INTO _migrations (id, name, checksum) VALUES
  (1, '001_initial_schema', 'a'), (2, '002_add_commit_sha', 'b'),
  (3, '003_add_section_priority', 'c'), (4, '004_add_section_dependencies', 'd'),
  (5, '005_add_audit_actor_model', 'e'), (6, '006_add_task_invocations', 'f'),
  (7, '007_add_file_anchor', 'g'), (8, '008_add_section_skipped', 'h'),
  (9, '009_add_incidents_and_failure_tracking', 'i');
INSERT INTO _schema (key, value) VALUES
  ('version', '9'), ('last_migration', '009_add_incidents_and_failure_tracking');
