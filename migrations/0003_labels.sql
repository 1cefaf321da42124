-- 0003: answers, what they amount to, and the tasks that ask people for more.

CREATE TYPE annotator_kind AS ENUM ('person', 'teacher');
CREATE TYPE refusal AS ENUM ('unsure', 'too_hard', 'bad_image', 'class_missing', 'privacy');

-- A task asks people about one sample. It closes when its slots are answered or it makes no sense.
CREATE TABLE tasks (
  id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id bigint      NOT NULL REFERENCES projects,
  sample_id  bigint      NOT NULL REFERENCES samples,
  priority   smallint    NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  closed_at  timestamptz,
  closed_as  text CHECK (closed_as IN ('answered', 'refused')),
  UNIQUE (project_id, sample_id),
  CONSTRAINT closed_for_a_reason CHECK ((closed_at IS NULL) = (closed_as IS NULL))
);

CREATE TYPE slot_state AS ENUM ('open', 'leased', 'answered', 'withdrawn');

-- One opinion that is wanted. The two keys are the rules: a slot is held once, and nobody holds
-- two of one task. Project and priority are copied from the task, so that one index serves the
-- claim. When a task closes, its slots that are not answered are withdrawn.
CREATE TABLE task_slots (
  task_id     bigint      NOT NULL REFERENCES tasks,
  slot        smallint    NOT NULL CHECK (slot BETWEEN 1 AND 9),
  project_id  bigint      NOT NULL,
  priority    smallint    NOT NULL,
  state       slot_state  NOT NULL DEFAULT 'open',
  annotator   text        CHECK (octet_length(annotator) BETWEEN 1 AND 128),
  lease_epoch bigint      NOT NULL DEFAULT 0,    -- fencing token: +1 per lease
  lease_until timestamptz,
  PRIMARY KEY (task_id, slot),
  CONSTRAINT nobody_twice UNIQUE (annotator, task_id),
  CONSTRAINT held_by_somebody
    CHECK ((state IN ('leased', 'answered')) = (annotator IS NOT NULL)),
  CONSTRAINT leased_until CHECK ((state = 'leased') = (lease_until IS NOT NULL))
);

CREATE INDEX task_slots_open ON task_slots (project_id, priority DESC, task_id, slot)
  WHERE state = 'open';
CREATE INDEX task_slots_leased ON task_slots (project_id, lease_until) WHERE state = 'leased';
CREATE INDEX task_slots_held ON task_slots (annotator) WHERE state = 'leased';

-- Who ever held a lease on a task: a late answer is taken from nobody else.
CREATE TABLE task_leases (
  task_id     bigint      NOT NULL,
  slot        smallint    NOT NULL,
  lease_epoch bigint      NOT NULL,
  annotator   text        NOT NULL,
  leased_at   timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (task_id, slot, lease_epoch),
  FOREIGN KEY (task_id, slot) REFERENCES task_slots
);

-- What one annotator said about one sample. Append-only.
CREATE TABLE answers (
  id                 bigint         GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  sample_id          bigint         NOT NULL REFERENCES samples,
  annotator          text           NOT NULL CHECK (octet_length(annotator) BETWEEN 1 AND 128),
  kind               annotator_kind NOT NULL,
  class_list_version integer        NOT NULL,
  class_index        integer        CHECK (class_index >= 0),
  refusal            refusal,
  confidence         double precision CHECK (confidence BETWEEN 0 AND 1),  -- the teacher's own
  evidence           jsonb,                      -- what the teacher saw
  task_id            bigint         REFERENCES tasks,
  surplus            boolean        NOT NULL DEFAULT false,
  created_at         timestamptz    NOT NULL DEFAULT now(),
  CONSTRAINT a_class_or_a_refusal CHECK ((class_index IS NULL) <> (refusal IS NULL)),
  CONSTRAINT one_answer_each UNIQUE (sample_id, annotator)
);

-- What the answers amount to. Derived, never typed in; the newest revision counts.
CREATE TABLE labels (
  sample_id   bigint           NOT NULL REFERENCES samples,
  revision    integer          NOT NULL CHECK (revision > 0),
  class_index integer          CHECK (class_index >= 0),      -- NULL: no longer settled
  posterior   double precision NOT NULL CHECK (posterior BETWEEN 0 AND 1),
  answers     integer          NOT NULL CHECK (answers > 0),  -- how many went into it
  rule        text             NOT NULL,                      -- version of the consensus
  created_at  timestamptz      NOT NULL DEFAULT now(),
  PRIMARY KEY (sample_id, revision)
);

-- What the teacher saw in an image: the cache of its answers. Only validated successes are here.
CREATE TABLE detections (
  image_digest  text        NOT NULL REFERENCES images,
  model         text        NOT NULL,
  model_version text        NOT NULL,
  rule          text        NOT NULL,            -- how tiles and boxes were made: "person_window/1"
  boxes         jsonb       NOT NULL,            -- [[score, left, top, right, bottom], ...] pixels
  created_at    timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (image_digest, model, model_version, rule)
);

-- The teacher's budget by project, and every reservation against it. What a crashed attempt
-- reserved and never settled counts as spent: nobody knows how far it came.
CREATE TABLE teacher_budgets (
  project_id bigint PRIMARY KEY REFERENCES projects,
  max_calls  bigint NOT NULL CHECK (max_calls >= 0),    -- 0: no limit
  max_micros bigint NOT NULL CHECK (max_micros >= 0)    -- 0: no limit
);

CREATE TABLE teacher_spend (
  job_id      bigint  NOT NULL,
  lease_epoch bigint  NOT NULL,
  project_id  bigint  NOT NULL REFERENCES projects,
  calls       bigint  NOT NULL CHECK (calls >= 0),      -- reserved, then as settled
  micros      bigint  NOT NULL CHECK (micros >= 0),
  cache_hit   boolean NOT NULL DEFAULT false,
  settled     boolean NOT NULL DEFAULT false,
  PRIMARY KEY (job_id, lease_epoch)
);

CREATE INDEX teacher_spend_by_project ON teacher_spend (project_id);
