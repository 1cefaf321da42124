-- 0001: the job queue.
--
-- One table for every kind of work that waits or runs; a row is the only record that a job exists.
-- Finished jobs move to another table, so that the hot one stays small. Semantics are in
-- lib/jobs/queue.h and docs/jobs.md. Forward-only: a mistake is corrected by the next migration.

CREATE TYPE job_state AS ENUM ('ready', 'running');
CREATE TYPE job_end AS ENUM ('done', 'dead');

CREATE SEQUENCE job_ids;

CREATE TABLE jobs (
  id            bigint      PRIMARY KEY DEFAULT nextval('job_ids'),
  kind          text        NOT NULL CHECK (kind <> ''),
  state         job_state   NOT NULL DEFAULT 'ready',
  priority      smallint    NOT NULL DEFAULT 0,   -- higher first
  payload       jsonb       NOT NULL,
  unique_key    text,                             -- as in job_keys; NULL: not deduplicated
  attempt       integer     NOT NULL DEFAULT 0,   -- claims so far, less the cancelled ones
  max_attempts  integer     NOT NULL DEFAULT 5 CHECK (max_attempts > 0),
  run_limit     interval    NOT NULL DEFAULT '1 hour' CHECK (run_limit > '0'),
  run_at        timestamptz NOT NULL DEFAULT now(),
  lease_epoch   bigint      NOT NULL DEFAULT 0,   -- fencing token: +1 per claim, never goes back
  lease_owner   text,
  lease_until   timestamptz,                      -- moved on by heartbeats,
  deadline_at   timestamptz,                      -- but never past this: hung is as good as dead
  last_error    text,
  traceparent   text,                             -- W3C trace context of whoever enqueued
  created_at    timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT leased_iff_running
    CHECK ((state = 'running') =
           (lease_owner IS NOT NULL AND lease_until IS NOT NULL AND deadline_at IS NOT NULL)),
  CONSTRAINT lease_ends_by_deadline CHECK (lease_until <= deadline_at),
  CONSTRAINT attempts_bounded CHECK (attempt BETWEEN 0 AND max_attempts)
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 500);

ALTER SEQUENCE job_ids OWNED BY jobs.id;

-- Serve the claim: the ready by priority and age, the expired by when they expired.
CREATE INDEX jobs_ready ON jobs (kind, priority DESC, run_at, id) WHERE state = 'ready';
CREATE INDEX jobs_leased ON jobs (kind, lease_until) WHERE state = 'running';

-- Keys outlive their jobs: what was asked for once is not done twice.
CREATE TABLE job_keys (
  unique_key text   PRIMARY KEY,
  job_id     bigint NOT NULL
);

CREATE TABLE finished_jobs (
  id           bigint      PRIMARY KEY,
  kind         text        NOT NULL,
  state        job_end     NOT NULL,
  priority     smallint    NOT NULL,
  payload      jsonb       NOT NULL,
  unique_key   text,
  attempt      integer     NOT NULL,
  max_attempts integer     NOT NULL,
  run_limit    interval    NOT NULL,
  lease_epoch  bigint      NOT NULL,
  lease_owner  text,                              -- who finished it
  last_error   text,
  traceparent  text,
  created_at   timestamptz NOT NULL,
  finished_at  timestamptz NOT NULL DEFAULT now(),

  CONSTRAINT the_dead_have_a_cause CHECK (state = 'done' OR last_error IS NOT NULL)
);

CREATE INDEX finished_jobs_dead ON finished_jobs (kind, id) WHERE state = 'dead';
