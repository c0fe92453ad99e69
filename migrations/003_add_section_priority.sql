-- Sections by urgency, not by position alone.

-- UP
ALTER TABLE sections ADD COLUMN priority INTEGER DEFAULT 50;
CREATE INDEX idx_sections_priority ON sections(priority);

-- DOWN
DROP INDEX idx_sections_priority;
ALTER TABLE sections DROP COLUMN priority;
