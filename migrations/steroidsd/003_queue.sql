-- What waits and in which order, and which invocation is another attempt of which. What it takes to
-- start one that waits is in its state folder: prompts and environments are nobody else's business.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN queued_ms INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN priority INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN after_ids TEXT;     -- JSON
ALTER TABLE steroidsd_invocations ADD COLUMN attempt INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN retry_of INTEGER;
CREATE UNIQUE INDEX steroidsd_invocations_retry_of ON steroidsd_invocations(retry_of)
    WHERE retry_of IS NOT NULL;

-- DOWN
DROP INDEX steroidsd_invocations_retry_of;
ALTER TABLE steroidsd_invocations DROP COLUMN retry_of;
ALTER TABLE steroidsd_invocations DROP COLUMN attempt;
ALTER TABLE steroidsd_invocations DROP COLUMN after_ids;
ALTER TABLE steroidsd_invocations DROP COLUMN priority;
ALTER TABLE steroidsd_invocations DROP COLUMN queued_ms;
