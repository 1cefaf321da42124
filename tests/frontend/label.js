// A label front end in another language than ours, knowing nothing but the protos: leases a task,
// looks at its image, answers it, skips the next, lists what is left.
//
//   node label.js HOST:PORT PROJECT      exits 0 if every step went as labelqueue.proto says
'use strict';

const assert = require('node:assert');
const { randomUUID } = require('node:crypto');
const path = require('node:path');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');

const PROTOS = path.join(__dirname, '..', '..', 'proto');
const ANNOTATOR = 'node';

const { bitfoundry } = grpc.loadPackageDefinition(
  loader.loadSync('bitfoundry/v1/labelqueue.proto', {
    includeDirs: [PROTOS], keepCase: true, longs: String, enums: String, defaults: true,
  }));

const soon = () => ({ deadline: Date.now() + 10_000 });

// The response of a unary call; throws its error.
function call(client, method, request, options = soon()) {
  return new Promise((resolve, reject) => {
    client[method](request, new grpc.Metadata(), options,
      (error, response) => (error ? reject(error) : resolve(response)));
  });
}

// Fails unless `promise` fails with this code and, in google.rpc.ErrorInfo, this reason.
async function refused(promise, code, reason) {
  const error = await promise.then(() => assert.fail(`${reason} was expected`), (e) => e);
  assert.strictEqual(error.code, code, error.message);
  const [details] = error.metadata.get('grpc-status-details-bin');
  assert.ok(details.includes(reason), `${reason} is not in the details: ${error.message}`);
}

async function readImage(client, lease) {
  const chunks = [];
  for await (const message of client.ReadTaskImage({ lease }, soon())) chunks.push(message.chunk);
  return Buffer.concat(chunks);
}

function checkPng(image, width, height) {
  assert.strictEqual(image.subarray(0, 8).toString('hex'), '89504e470d0a1a0a', 'PNG signature');
  assert.strictEqual(image.readUInt32BE(16), width);
  assert.strictEqual(image.readUInt32BE(20), height);
}

async function main(address, project) {
  const client = new bitfoundry.v1.LabelQueue(address, grpc.credentials.createInsecure());
  const lease = () => call(client, 'LeaseTasks', { project, annotator: ANNOTATOR });

  const { tasks: [task], classes } = await lease();
  assert.deepStrictEqual((await lease()).tasks, [task], 'what is held comes again');
  console.log(`task ${task.lease.task_id}: ${task.sample}, one of ${classes.join(', ')}`);

  const [, , width, height] = task.sample.split('@')[1].split(',').map(Number);
  checkPng(await readImage(client, task.lease), width, height);

  const answer = {
    request_id: randomUUID(), lease: task.lease, annotator: ANNOTATOR,
    class_index: classes.indexOf('person'), tags: { distractor: 'no' },
  };
  assert.deepStrictEqual(await call(client, 'SubmitAnswer', answer), { surplus: false });
  assert.deepStrictEqual(await call(client, 'SubmitAnswer', answer), { surplus: false }, 'again');
  await refused(call(client, 'SubmitAnswer', { ...answer, request_id: randomUUID() }),
    grpc.status.ALREADY_EXISTS, 'ANSWERED_BEFORE');
  await refused(call(client, 'SubmitAnswer', answer, {}),
    grpc.status.INVALID_ARGUMENT, 'DEADLINE_REQUIRED');

  const { tasks: [second] } = await lease();
  assert.notStrictEqual(second.lease.task_id, task.lease.task_id);
  await call(client, 'SkipTask', {
    request_id: randomUUID(), lease: second.lease, annotator: ANNOTATOR, reason: 'TOO_HARD',
  });
  assert.deepStrictEqual((await lease()).tasks, [], 'nothing comes twice');

  const list = await call(client, 'ListTasks', { project, open_only: true });
  assert.deepStrictEqual(list.tasks.map((t) => t.task_id), [second.lease.task_id]);
  assert.strictEqual(list.open_tasks, '1');
  client.close();
  console.log('answered one, skipped one');
}

main(process.argv[2], process.argv[3]).catch((error) => {
  console.error(error);
  process.exit(1);
});
