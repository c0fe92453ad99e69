-- Where in its spool the wait for a person began that was told last by a `waiting` event, until it is
-- over: so that each is told once, also across a restart of the daemon.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN waiting_told INTEGER;

-- DOWN
ALTER TABLE steroidsd_invocations DROP COLUMN waiting_told;
