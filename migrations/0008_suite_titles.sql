-- 0008: what a suite calls itself, in all its versions. "Shipped" is what passed last by a suite of
-- one title, so that a suite that asks for little makes no baseline for one that asks for much.
ALTER TABLE suites
  ADD COLUMN title   text    NOT NULL DEFAULT '',
  ADD COLUMN version integer NOT NULL DEFAULT 0;

-- Of those that are here, as the line says: `suite: person`, `version: 3`, plain or in quotes.
UPDATE suites
   SET title = coalesce(trim(substring(yaml FROM '(?n)^"?suite"?:[ \t]*["'']?([^"''#\n]+)')), name),
       version = coalesce(substring(yaml FROM '(?n)^"?version"?:[ \t]*([0-9]{1,9})')::integer, 0);
