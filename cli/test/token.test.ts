import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { startStack } from '@blindfit/stack';
import { temporaryDirectory } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli } from './support.ts';

test('tokens are made, used, listed and revoked', async (t) => {
  const home = await temporaryDirectory(t);
  const stack = await startStack({ dataDir: join(home, 'data'), threads: 1, log: () => undefined });
  t.after(() => stack.stop());
  const env = cleanEnv({ BLINDFIT_SERVER: stack.url, BLINDFIT_TOKEN: stack.token, XDG_DATA_HOME: '/nowhere' });
  const created = await runCli(
    t,
    ['token', 'create', '--tenant', 'clinic-a', '--scopes', 'read,blobs', '--expires', '90d'],
    env,
  );
  assert.equal(created.status, 0, created.stderr);
  assert.match(created.stdout, /^blindfit_[0-9a-f]{16}_[\w-]{43}\n$/, 'the token and nothing else');
  const token = created.stdout.trim();
  const id = token.slice('blindfit_'.length, 'blindfit_'.length + 16);

  const as = cleanEnv({ ...env, BLINDFIT_TOKEN: token });
  assert.equal((await askCli(['jobs'], as)).stdout, 'There are no jobs.\n');
  const refused = await askCli(['token', 'list'], as);
  assert.equal(refused.status, 1);
  assert.match(refused.stderr, /needs the scope operate, and the token has read, blobs/);

  const listed = await askCli(['token', 'list', '--json'], env);
  const [view] = JSON.parse(listed.stdout) as { id: string; tenant: string; scopes: string[]; expiresAt: string }[];
  assert.deepEqual([view?.id, view?.tenant, view?.scopes], [id, 'clinic-a', ['read', 'blobs']]);
  const days = (Date.parse(String(view?.expiresAt)) - Date.now()) / 86_400_000;
  assert.ok(days > 89.9 && days <= 90, String(days));
  assert.ok(!listed.stdout.includes(token.slice(-43)));
  assert.match((await askCli(['token', 'list'], env)).stdout, new RegExp(`${id} +clinic-a +read,blobs`));

  assert.equal((await askCli(['token', 'revoke', id], env)).stdout, `${id} revoked\n`);
  assert.equal((await askCli(['jobs'], as)).status, 1);
  const again = await askCli(['token', 'revoke', id], env);
  assert.deepEqual([again.status, /there is no token/.test(again.stderr)], [1, true]);
});

test('what token refuses before it asks anybody', async () => {
  const env = cleanEnv({ BLINDFIT_SERVER: 'http://127.0.0.1:1', BLINDFIT_TOKEN: 'x'.repeat(20) });
  for (const [args, message] of [
    [['token', 'create', '--scopes', 'read,everything'], /"everything" is none of submit, read/],
    [['token', 'create', '--expires', '90'], /whole number and one of s, m, h and d/],
    [['token', 'revoke'], /missing required argument 'id'/],
  ] as const) {
    const { status, stderr } = await askCli(args, env);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  }
});
