-- Where in its spool the stall began that was told last by a `stalled` event, until it is over: so
-- that each is told once, also across a restart of the daemon.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN silence_told INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN wall_told INTEGER;

-- DOWN
ALTER TABLE steroidsd_invocations DROP COLUMN wall_told;
ALTER TABLE steroidsd_invocations DROP COLUMN silence_told;
