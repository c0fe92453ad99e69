-- What an invocation may use of the machine, and what its processes used. Absent where nothing was
-- bounded, or counted, and in rows from before.

-- UP
ALTER TABLE steroidsd_invocations ADD COLUMN resources TEXT;      -- bounds, as JSON
ALTER TABLE steroidsd_invocations ADD COLUMN peak_bytes INTEGER;  -- the most memory at a time
ALTER TABLE steroidsd_invocations ADD COLUMN cpu_us INTEGER;      -- CPU time of all its processes

-- DOWN
ALTER TABLE steroidsd_invocations DROP COLUMN cpu_us;
ALTER TABLE steroidsd_invocations DROP COLUMN peak_bytes;
ALTER TABLE steroidsd_invocations DROP COLUMN resources;
