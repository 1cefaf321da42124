-- 0009: a verdict that an earlier build gave, or that rests on a waiver which has ended since, is
-- judged anew when it is asked for again. It stays; at most one takes its place.
ALTER TABLE verdicts
  ADD COLUMN replaces   bigint REFERENCES verdicts,
  ADD COLUMN evaluation bigint REFERENCES verdicts,        -- the first of those; NULL: this one
  ADD COLUMN releases   boolean NOT NULL DEFAULT false;    -- see Verdicts::Shipped

-- Until now every pass was a release, and stays one.
UPDATE verdicts SET releases = true WHERE outcome = 'pass' AND artefact IS NOT NULL;

ALTER TABLE verdicts
  DROP CONSTRAINT verdicts_artefact_remote_model_suite_snapshot_baseline_key;
CREATE UNIQUE INDEX verdicts_first ON verdicts (artefact, remote_model, suite, snapshot, baseline)
  NULLS NOT DISTINCT WHERE replaces IS NULL;
CREATE UNIQUE INDEX verdicts_replaced ON verdicts (replaces);
