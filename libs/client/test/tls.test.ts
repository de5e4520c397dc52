/** Certificates of servers: only what this process is told to trust is spoken to. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import fastify from 'fastify';
import { ServerUnreachableError } from '@blindfit/client';
import { TEST_CERTIFICATES } from '@blindfit/testkit';
import { clientOf } from './support.ts';

const { authority, first } = TEST_CERTIFICATES;

test('a certificate of an unknown authority is refused at once, and trusted with NODE_EXTRA_CA_CERTS', async (t) => {
  const app = fastify({
    https: { cert: readFileSync(first.cert), key: readFileSync(first.key) },
    forceCloseConnections: true,
  });
  app.get('/v1/jobs', () => ({ jobs: [] }));
  t.after(() => app.close());
  const server = await app.listen({ host: '127.0.0.1', port: 0 });

  // Five attempts with these waits would take minutes.
  await assert.rejects(clientOf(t, server, { backoffMs: 60_000, maxBackoffMs: 60_000 }).jobs(), (error) => {
    assert.ok(error instanceof ServerUnreachableError);
    assert.match(String(error.hint), /NODE_EXTRA_CA_CERTS/);
    assert.equal(error.retryable, false);
    return true;
  });

  const script = `
    import { BlindfitClient } from '@blindfit/client';
    const client = new BlindfitClient({ server: ${JSON.stringify(server)}, token: 'the-token-of-the-tests' });
    console.log(JSON.stringify(await client.jobs()));
    await client.close();`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: import.meta.dirname,
    env: { ...process.env, NODE_EXTRA_CA_CERTS: authority },
  });
  assert.equal(stdout.trim(), '[]');
});
