-- 0002: projects and what they are made of. Rows are appended; the few columns that move say so.

CREATE TABLE projects (
  id         bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  name       text        NOT NULL UNIQUE CHECK (name ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
  height     integer     NOT NULL CHECK (height BETWEEN 8 AND 256),
  width      integer     NOT NULL CHECK (width BETWEEN 8 AND 256),
  channels   integer     NOT NULL CHECK (channels IN (1, 3)),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE class_lists (
  project_id bigint  NOT NULL REFERENCES projects,
  version    integer NOT NULL CHECK (version > 0),
  classes    text[]  NOT NULL CHECK (cardinality(classes) BETWEEN 2 AND 64),
  PRIMARY KEY (project_id, version)
);

-- The answer that a creating call gave, so that the same request_id gets it again.
CREATE TABLE requests (
  request_id uuid        PRIMARY KEY,
  method     text        NOT NULL,
  response   bytea       NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now()
);

-- Blobs that are images. The bytes are in the store under the digest.
CREATE TABLE images (
  digest     text        PRIMARY KEY CHECK (digest ~ '^[0-9a-f]{64}$'),
  format     text        NOT NULL CHECK (format IN ('jpeg', 'png')),
  width      integer     NOT NULL CHECK (width > 0),
  height     integer     NOT NULL CHECK (height > 0),
  bytes      bigint      NOT NULL CHECK (bytes > 0),
  created_at timestamptz NOT NULL DEFAULT now()
);

CREATE TYPE sample_part AS ENUM ('train', 'test');

-- An image, or a window of one, in a project.
CREATE TABLE samples (
  id           bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  project_id   bigint      NOT NULL REFERENCES projects,
  name         text        NOT NULL,  -- "<digest>" or "<digest>@x,y,width,height"
  image_digest text        NOT NULL REFERENCES images,
  x            integer,
  y            integer,
  width        integer,
  height       integer,
  part         sample_part NOT NULL,
  camera       text        NOT NULL,
  session      text        NOT NULL,
  position     integer     NOT NULL DEFAULT 0,   -- frame number within the session
  attributes   jsonb       NOT NULL,             -- measured from the pixels: numbers by name
  phash        bigint      NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  UNIQUE (project_id, name),
  CONSTRAINT a_window_is_whole CHECK (num_nulls(x, y, width, height) IN (0, 4))
);

CREATE INDEX samples_by_image ON samples (image_digest, project_id);
CREATE INDEX samples_by_session ON samples (project_id, session, position);

-- What is known of a sample besides its pixels. A later source replaces an earlier one's value.
CREATE TABLE sample_tags (
  sample_id bigint NOT NULL REFERENCES samples,
  key       text   NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,31}$'),
  value     text   NOT NULL CHECK (octet_length(value) <= 128),
  source    text   NOT NULL,                     -- who says so: "capture", "describe/1"
  PRIMARY KEY (sample_id, key)
);

-- The same for numbers.
CREATE TABLE sample_attributes (
  sample_id bigint           NOT NULL REFERENCES samples,
  key       text             NOT NULL CHECK (key ~ '^[a-z][a-z0-9_]{0,31}$'),
  value     double precision NOT NULL,
  source    text             NOT NULL,
  PRIMARY KEY (sample_id, key)
);
