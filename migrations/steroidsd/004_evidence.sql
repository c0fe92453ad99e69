-- Why an invocation ended as it did, beyond the one word: what a queue waits for, what a retry must
-- not resume, and what `show` tells a person. Absent where nothing was told, and in rows from before.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN resets_at_ms INTEGER;  -- a limit's end, epoch ms
ALTER TABLE steroidsd_invocations ADD COLUMN http_status INTEGER;   -- of the API's answer
ALTER TABLE steroidsd_invocations ADD COLUMN cause TEXT;            -- a word, narrower than outcome
ALTER TABLE steroidsd_invocations ADD COLUMN evidence TEXT;         -- JSON, at most 16 KiB

-- DOWN
ALTER TABLE steroidsd_invocations DROP COLUMN evidence;
ALTER TABLE steroidsd_invocations DROP COLUMN cause;
ALTER TABLE steroidsd_invocations DROP COLUMN http_status;
ALTER TABLE steroidsd_invocations DROP COLUMN resets_at_ms;
