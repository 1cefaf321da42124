-- Verdicts against a baseline, on a day, signed; and results that hold more than the first tests
-- had.
ALTER TABLE verdicts
  ADD COLUMN baseline text REFERENCES artefacts,       -- what the artefact was held against
  ADD COLUMN date     text NOT NULL DEFAULT '',        -- '2026-12-01': waivers are held against it
  ADD COLUMN envelope text NOT NULL DEFAULT ''         -- digest of the signed statement, or ''
    CHECK (envelope ~ '^([0-9a-f]{64})?$');

ALTER TABLE verdicts DROP CONSTRAINT verdicts_artefact_suite_snapshot_key;
ALTER TABLE verdicts ADD UNIQUE NULLS NOT DISTINCT (artefact, suite, snapshot, baseline);

-- The whole TestResult of evaluator.proto, as JSON. The other columns are for questions in SQL.
ALTER TABLE verdict_tests ADD COLUMN result jsonb;

-- How often the same rows were judged.
CREATE INDEX verdict_tests_rows ON verdict_tests (rows_digest);
