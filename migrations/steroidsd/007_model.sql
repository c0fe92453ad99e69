-- Which model answered: `task_invocations.model` is the one that was asked for, mostly none, or an
-- alias. Absent where the CLI names none, and in rows from before.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN answering_model TEXT;

-- DOWN
ALTER TABLE steroidsd_invocations DROP COLUMN answering_model;
