-- 0007: verdicts on models that are not here: only their answers are, from a server of the Open
-- Inference Protocol.
CREATE TABLE remote_models (
  digest      text        PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),  -- of description
  project_id  bigint      NOT NULL REFERENCES projects,
  description text        NOT NULL,  -- canonical JSON of bitfoundry.v1.RemoteModel, as digested
  created_at  timestamptz NOT NULL DEFAULT now()
);

-- A verdict is on one or the other, so that no question about artefacts (which was released? what
-- is a baseline?) can be answered with a model that cannot ship.
ALTER TABLE verdicts
  ALTER COLUMN artefact DROP NOT NULL,
  ADD COLUMN remote_model text REFERENCES remote_models,
  ADD COLUMN unsure_answers integer NOT NULL DEFAULT 0 CHECK (unsure_answers >= 0),
  ADD CONSTRAINT a_verdict_is_on_one_model CHECK (num_nonnulls(artefact, remote_model) = 1);

ALTER TABLE verdicts DROP CONSTRAINT verdicts_artefact_suite_snapshot_baseline_key;
ALTER TABLE verdicts
  ADD UNIQUE NULLS NOT DISTINCT (artefact, remote_model, suite, snapshot, baseline);

CREATE INDEX verdicts_on_remote_models ON verdicts (remote_model) WHERE remote_model IS NOT NULL;
