-- Sections that are left out.

-- UP
ALTER TABLE sections ADD COLUMN skipped INTEGER DEFAULT 0;

-- DOWN
ALTER TABLE sections DROP COLUMN skipped;
