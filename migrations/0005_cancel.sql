-- 0005: a job may end because somebody said so, which is neither success nor failure: nobody is
-- alarmed by it, and a redrive of all the dead of a kind leaves it alone.

ALTER TYPE job_end ADD VALUE 'cancelled';

COMMENT ON TABLE checkpoints IS
  'The newest of each step: a later lease that comes to the same step again replaces the row.';
