-- Who changed a state: a person, or which model.

-- UP
ALTER TABLE audit ADD COLUMN actor_type TEXT DEFAULT 'human';
ALTER TABLE audit ADD COLUMN model TEXT;

-- DOWN
ALTER TABLE audit DROP COLUMN model;
ALTER TABLE audit DROP COLUMN actor_type;
