-- 0004: snapshots, runs, artefacts, verdicts.

CREATE TABLE snapshots (
  digest             text        PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),  -- of its rows
  pixels_digest      text        NOT NULL CHECK (pixels_digest ~ '^[0-9a-f]{64}$'),
  project_id         bigint      NOT NULL REFERENCES projects,
  class_list_version integer     NOT NULL,
  summary            jsonb       NOT NULL,       -- the counts of bitfoundry.v1.Snapshot
  created_at         timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX snapshots_newest ON snapshots (project_id, created_at DESC);

CREATE TABLE suites (
  digest     text        PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),  -- of its text
  name       text        NOT NULL,
  yaml       text        NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- One training of one recipe on one snapshot. Its state is that of its job.
CREATE TABLE runs (
  id            bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id    bigint      NOT NULL REFERENCES projects,
  snapshot      text        NOT NULL REFERENCES snapshots,
  recipe_digest text        NOT NULL,
  recipe        text        NOT NULL,            -- canonical JSON, as digested
  suite         text        REFERENCES suites,   -- evaluated when there is an artefact
  job_id        bigint      NOT NULL UNIQUE,
  created_at    timestamptz NOT NULL DEFAULT now(),
  UNIQUE (snapshot, recipe_digest)
);

CREATE INDEX runs_newest ON runs (project_id, id DESC);

-- What heartbeats told. The newest row is the progress.
CREATE TABLE run_progress (
  run_id            bigint           NOT NULL REFERENCES runs,
  lease_epoch       bigint           NOT NULL,
  step              bigint           NOT NULL,
  epoch             integer          NOT NULL,
  epochs            integer          NOT NULL,
  loss              double precision NOT NULL,
  train_accuracy    double precision NOT NULL,
  images_per_second double precision NOT NULL,
  created_at        timestamptz      NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, lease_epoch, step)
);

CREATE TABLE checkpoints (
  run_id      bigint      NOT NULL REFERENCES runs,
  step        bigint      NOT NULL CHECK (step > 0),    -- batches done, over all epochs
  lease_epoch bigint      NOT NULL,
  blob        text        NOT NULL CHECK (blob ~ '^[0-9a-f]{64}$'),
  created_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (run_id, step)
);

-- Files that a worker uploaded under a lease, before they belong to an artefact.
CREATE TABLE uploads (
  job_id      bigint NOT NULL,
  lease_epoch bigint NOT NULL,
  digest      text   NOT NULL CHECK (digest ~ '^[0-9a-f]{64}$'),
  bytes       bigint NOT NULL CHECK (bytes >= 0),
  PRIMARY KEY (job_id, lease_epoch, digest)
);

-- What a run published: named by the digest of its manifest, at most one for each run.
CREATE TABLE artefacts (
  digest      text        PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  run_id      bigint      NOT NULL UNIQUE REFERENCES runs,
  project_id  bigint      NOT NULL REFERENCES projects,
  snapshot    text        NOT NULL REFERENCES snapshots,
  lease_epoch bigint      NOT NULL,
  files       jsonb       NOT NULL,              -- name -> {digest, bytes}
  model_bytes bigint      NOT NULL,
  created_at  timestamptz NOT NULL DEFAULT now()
);

CREATE INDEX artefacts_newest ON artefacts (project_id, created_at DESC);

CREATE TYPE outcome AS ENUM ('pass', 'fail', 'inconclusive', 'error');

-- One suite on one artefact and one snapshot, for ever. Never updated.
CREATE TABLE verdicts (
  id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  artefact   text        NOT NULL REFERENCES artefacts,
  suite      text        NOT NULL REFERENCES suites,
  snapshot   text        NOT NULL REFERENCES snapshots,
  outcome    outcome     NOT NULL,
  runtime    text        NOT NULL,
  report     text        NOT NULL CHECK (report ~ '^[0-9a-f]{64}$'),  -- HTML, in the store
  created_at timestamptz NOT NULL DEFAULT now(),
  UNIQUE (artefact, suite, snapshot)
);

CREATE TABLE verdict_tests (
  verdict_id   bigint           NOT NULL REFERENCES verdicts,
  position     integer          NOT NULL,        -- in the suite's order, from 0
  test_id      text             NOT NULL,
  slice        text             NOT NULL,
  expression   text             NOT NULL,
  metric       text             NOT NULL,
  transform    text             NOT NULL,
  at_most      boolean          NOT NULL,
  bound        double precision NOT NULL,
  blocks       boolean          NOT NULL,
  outcome      outcome          NOT NULL,
  reason       text             NOT NULL,
  n            integer          NOT NULL,
  successes    integer          NOT NULL,
  lower        double precision NOT NULL,
  upper        double precision NOT NULL,
  labels_needed integer         NOT NULL,
  unknown_rows integer          NOT NULL,
  rows_digest  text             NOT NULL,
  PRIMARY KEY (verdict_id, position)
);
