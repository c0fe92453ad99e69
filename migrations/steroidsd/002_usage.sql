-- What an invocation used, told apart from what its session used before; the price its cost was
-- estimated at; and which budgets somebody has been told of.

-- UP
-- As the CLI told it, where that is the sum over the session's runs; the columns without `thread_`
-- then hold this run's part, as far as the runs before it are known.
ALTER TABLE steroidsd_invocations ADD COLUMN thread_input_tokens INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN thread_output_tokens INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN thread_cached_input_tokens INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN thread_cache_creation_tokens INTEGER;
ALTER TABLE steroidsd_invocations ADD COLUMN cumulative INTEGER;        -- 1: a run before it is not known
ALTER TABLE steroidsd_invocations ADD COLUMN cost_estimated INTEGER;    -- 1: cost_usd is by these prices
ALTER TABLE steroidsd_invocations ADD COLUMN price_input REAL;          -- US dollars for a million tokens
ALTER TABLE steroidsd_invocations ADD COLUMN price_output REAL;
ALTER TABLE steroidsd_invocations ADD COLUMN price_cached_input REAL;
ALTER TABLE steroidsd_invocations ADD COLUMN price_cache_creation REAL;
CREATE INDEX steroidsd_invocations_ended ON steroidsd_invocations(ended_ms);
CREATE INDEX steroidsd_invocations_session ON steroidsd_invocations(session_id)
    WHERE session_id IS NOT NULL;

CREATE TABLE steroidsd_budgets (
    scope TEXT NOT NULL,                    -- invocation, task, day
    about TEXT NOT NULL,                    -- its id; the day
    bound TEXT NOT NULL,                    -- as somebody reads it: $5.00
    level TEXT NOT NULL,                    -- warned, reached
    told_ms INTEGER NOT NULL,
    PRIMARY KEY (scope, about, bound, level)
) WITHOUT ROWID;

-- DOWN
DROP TABLE steroidsd_budgets;
DROP INDEX steroidsd_invocations_session;
DROP INDEX steroidsd_invocations_ended;
ALTER TABLE steroidsd_invocations DROP COLUMN price_cache_creation;
ALTER TABLE steroidsd_invocations DROP COLUMN price_cached_input;
ALTER TABLE steroidsd_invocations DROP COLUMN price_output;
ALTER TABLE steroidsd_invocations DROP COLUMN price_input;
ALTER TABLE steroidsd_invocations DROP COLUMN cost_estimated;
ALTER TABLE steroidsd_invocations DROP COLUMN cumulative;
ALTER TABLE steroidsd_invocations DROP COLUMN thread_cache_creation_tokens;
ALTER TABLE steroidsd_invocations DROP COLUMN thread_cached_input_tokens;
ALTER TABLE steroidsd_invocations DROP COLUMN thread_output_tokens;
ALTER TABLE steroidsd_invocations DROP COLUMN thread_input_tokens;
