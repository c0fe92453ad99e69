-- Which commit a change of state belongs to.

-- UP
ALTER TABLE audit ADD COLUMN commit_sha TEXT;
CREATE INDEX idx_audit_commit ON audit(commit_sha);

-- DOWN
DROP INDEX idx_audit_commit;
ALTER TABLE audit DROP COLUMN commit_sha;
