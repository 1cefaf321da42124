// The peers of lib/jobs in the same measure: each job enqueued, leased and completed, by one client.
//
//   node peers.js <folder of the Postgres socket> <jobs>
//
// Prints one line for each peer and batch size: name, batch, enqueued/s, leased and completed/s.
// Each is used as its documentation says, through its public API, with its default settings, but
// for graphile-worker's local queue, which its documentation gives for throughput.
import { makeWorkerUtils, run, runOnce } from "graphile-worker";
import pg from "pg";
import PgBoss from "pg-boss";

const [host, jobs] = [process.argv[2], Number(process.argv[3])];
const connection = { host, user: "bitfoundry", database: "postgres", max: 4 };

const now = () => performance.now() / 1000;
const report = (name, batch, enqueue, finish) =>
  console.log([name, batch, Math.round(jobs / enqueue), Math.round(jobs / finish)].join("\t"));

async function timed(work) {
  const start = now();
  await work();
  return now() - start;
}

async function graphile(batch) {
  const pgPool = new pg.Pool(connection);
  pgPool.on("error", () => {});
  const logger = { scope: () => logger, error() {}, warn() {}, info() {}, debug() {} };
  const utils = await makeWorkerUtils({ pgPool, logger });
  await utils.migrate();
  const enqueue = await timed(async () => {
    for (let i = 0; i < jobs; i += batch) {
      if (batch === 1) await utils.addJob("noop", { i });
      else await utils.addJobs(Array.from({ length: batch }, (_, k) => ({ identifier: "noop", payload: { i: i + k } })));
    }
  });
  let left = jobs;
  let allDone;
  const drained = new Promise((resolve) => (allDone = resolve));
  const taskList = { noop: async () => { if (--left === 0) allDone(); } };
  const finish = await timed(async () => {
    if (batch === 1) {
      await runOnce({ pgPool, logger, taskList, concurrency: 1, noHandleSignals: true });
    } else {
      const runner = await run({
        pgPool,
        logger,
        taskList,
        noHandleSignals: true,
        concurrency: batch,
        pollInterval: 100,
        preset: {
          worker: { localQueue: { size: batch }, completeJobBatchDelay: 0, failJobBatchDelay: 0 },
        },
      });
      await drained;
      await runner.stop();
    }
  });
  await utils.release();
  await pgPool.end();
  report("graphile-worker", batch, enqueue, finish);
}

async function boss(batch) {
  const queue = `noop_${batch}`;
  const boss = new PgBoss({ ...connection, supervise: false, schedule: false });
  boss.on("error", (error) => console.error(error));
  await boss.start();
  await boss.createQueue(queue);
  const enqueue = await timed(async () => {
    for (let i = 0; i < jobs; i += batch) {
      if (batch === 1) await boss.send(queue, { i });
      else await boss.insert(Array.from({ length: batch }, (_, k) => ({ name: queue, data: { i: i + k } })));
    }
  });
  const finish = await timed(async () => {
    for (let left = jobs; left > 0; ) {
      const fetched = await boss.fetch(queue, { batchSize: batch });
      await boss.complete(queue, fetched.map((job) => job.id));
      left -= fetched.length;
    }
  });
  await boss.stop({ graceful: false });
  report("pg-boss", batch, enqueue, finish);
}

for (const batch of [1, 50]) {
  await graphile(batch);
  await boss(batch);
}
process.exit(0);
