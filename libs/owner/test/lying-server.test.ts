/** A server that lies, over real HTTP: swapped manifests and damaged blobs, wherever the owner comes back to a job. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test, type TestContext } from 'node:test';
import { digestOf } from '@blindfit/base';
import { BlindfitClient, ResultDamagedError } from '@blindfit/client';
import { createDataset } from '@blindfit/data';
import type { JobResult, JobView } from '@blindfit/protocol';
import { DEFAULT_HYPERPARAMETERS } from '@blindfit/training';
import { outcomeOf } from '../src/flow/outcome.ts';
import {
  attach,
  followTraining,
  MemoryKeys,
  ModelError,
  OwnerError,
  predict,
  servablePlan,
  type Ticket,
} from '../src/index.ts';

const MANIFEST = new TextEncoder().encode('{"what":"was submitted"}');
const TICKET: Ticket = {
  job: 'job-0123456789ab',
  manifest: digestOf(MANIFEST),
  stepBound: [1],
  classes: ['a', 'b'],
  preprocessing: { kind: 'none' },
};

/** A job as the server shows it. */
function view(manifest: string): string {
  return JSON.stringify({
    id: TICKET.job,
    kind: 'train',
    state: 'running',
    manifest,
    shape: { samples: 8, features: 2, classes: 2 },
    hyperparameters: DEFAULT_HYPERPARAMETERS,
    parameters: 'N16384QP430L7S45',
    createdAt: new Date(0).toISOString(),
    progress: { phase: 'training', iteration: 0, iterations: 2, tasksDone: 0, tasksTotal: 4, levelsLeft: 6 },
    tenant: 'default',
    refreshes: [],
    answers: [],
  });
}

/** A client of a server that shows one manifest's digest and hands out these bytes for every blob. */
async function lying(
  t: TestContext,
  manifest: string,
  blob: Uint8Array,
): Promise<{ readonly client: BlindfitClient; readonly paths: string[] }> {
  const paths: string[] = [];
  const server = createServer((incoming, outgoing) => {
    const { url = '' } = incoming;
    paths.push(url);
    if (url.startsWith('/v1/blobs/')) outgoing.writeHead(200, { 'content-type': 'application/octet-stream' }).end(blob);
    else outgoing.writeHead(200, { 'content-type': 'application/json' }).end(view(manifest));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const client = new BlindfitClient({ server: `http://127.0.0.1:${port}`, attempts: 2, backoffMs: 1 });
  t.after(async () => {
    await client.close();
    server.close();
    server.closeAllConnections();
  });
  return { client, paths };
}

const OTHER = new TextEncoder().encode('{"what":"somebody else submitted"}');
const data = createDataset(Float64Array.of(1, 2), 1);
const ways: readonly (readonly [string, (client: BlindfitClient) => Promise<unknown>])[] = [
  ['attach', (client) => attach(client, { ticket: TICKET, keys: new MemoryKeys() })],
  ['predict', (client) => predict(client, { ticket: TICKET, keys: new MemoryKeys(), data })],
  ['servablePlan', (client) => servablePlan(client, TICKET)],
];

for (const [name, call] of ways) {
  test(`${name}: another manifest than the submitted one is not even fetched`, async (t) => {
    const { client, paths } = await lying(t, digestOf(OTHER), OTHER);
    await assert.rejects(
      call(client),
      (error) =>
        error instanceof OwnerError &&
        error.code === 'OWNER' &&
        error.message === 'the server shows another manifest for job-0123456789ab than the one that was submitted' &&
        error.hint === 'do not trust this server',
    );
    assert.deepEqual(paths, ['/v1/jobs/job-0123456789ab']);
  });

  test(`${name}: other bytes under the digest of the submitted manifest are not believed`, async (t) => {
    const { client, paths } = await lying(t, TICKET.manifest, OTHER);
    await assert.rejects(call(client), ResultDamagedError);
    assert.equal(paths.length, 3, 'the job, and two attempts at the blob');
  });
}

test('a blob whose bytes are right passes', async (t) => {
  const { client } = await lying(t, TICKET.manifest, MANIFEST);
  assert.deepEqual(await client.blob(TICKET.manifest), MANIFEST);
  await assert.rejects(client.blob(digestOf(OTHER)), ResultDamagedError);
});

const submitted = JSON.parse(view(TICKET.manifest)) as JobView;
const OF_ANOTHER = {
  name: 'OwnerError',
  message: 'the server shows another manifest for job-0123456789ab than the one that was submitted',
};

/** A server that tells of the submitted job first, and then of the end of one with another manifest under its name. */
function swapping(cancelled: string[] = []): BlindfitClient {
  const end: JobView = { ...submitted, state: 'succeeded', manifest: digestOf(OTHER) };
  return {
    events: async function* () {
      yield await Promise.resolve(submitted);
      yield end;
    },
    cancel: (id: string) => {
      cancelled.push(id);
      return Promise.resolve(end);
    },
  } as unknown as BlindfitClient;
}

test('a job that becomes another one while its owner follows it is given up', async () => {
  const cancelled: string[] = [];
  const answers = { checkEnd: () => assert.fail('it has ended'), cancellation: () => '' };
  const session = { answersFor: () => answers } as never;
  await assert.rejects(followTraining(swapping(cancelled), submitted, { session, cancel: true }), OF_ANOTHER);
  assert.deepEqual(cancelled, []);
});

test('a result of another size than the job’s is refused before it is downloaded', async () => {
  const fail = (): never => assert.fail('it is downloaded');
  const client = { result: fail, blob: fail } as unknown as BlindfitClient;
  const plan = { layout: { models: 2, classes: 2, features: 2 }, hyperparameters: { iterations: 3 } } as never;
  const digests = (count: number): string[] => Array.from({ length: count }, (_, i) => digestOf(Uint8Array.of(i)));
  const refuse = (result: Partial<JobResult>, message: RegExp): Promise<void> => {
    const job = { ...submitted, state: 'succeeded', result } as JobView;
    return assert.rejects(outcomeOf(client, {} as never, plan, { job } as never, undefined), (error) => {
      assert.ok(error instanceof ModelError, String(error));
      assert.match(error.message, message);
      return true;
    });
  };
  for (const count of [1, 3]) await refuse({ models: digests(count), iterates: [] }, /a model of [13] ciphertexts/);
  const row = digests(2);
  for (const count of [1, 2, 4])
    await refuse({ models: row, iterates: Array.from({ length: count }, () => row) }, /weights of [124] iterations/);
  await refuse({ models: row, iterates: [row, digests(1), row] }, /a model of 1 ciphertexts/);
});
