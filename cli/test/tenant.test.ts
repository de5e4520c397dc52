import assert from 'node:assert/strict';
import { test } from 'node:test';
import { usageTable } from '../src/commands/tenant.ts';
import { askCli, cleanEnv } from './support.ts';

test('usage is a line for each tenant, with limits where there are some', () => {
  const day = '2026-01-31';
  assert.equal(
    usageTable([
      {
        tenant: 'clinic-a',
        weight: 2,
        jobs: { used: 1200, limit: 10_000 },
        runningJobs: { used: 3, limit: 16 },
        bytes: { used: 3 * 2 ** 20 },
        computeSeconds: { used: 90, limit: 86_400, day },
      },
      {
        tenant: 'default',
        weight: 1,
        jobs: { used: 0, limit: 10_000 },
        runningJobs: { used: 0, limit: 16 },
        bytes: { used: 0 },
        computeSeconds: { used: 0, day },
      },
    ]),
    [
      'TENANT    WEIGHT             JOBS  RUNNING    STORED          THREADS TODAY',
      'clinic-a       2  1,200 of 10,000  3 of 16  3.00 MiB  1 min 30 s of 1 d 0 h',
      'default        1      0 of 10,000  0 of 16       0 B                0.000 s',
    ].join('\n'),
  );
});

test('what tenant refuses before it asks anybody', async () => {
  const env = cleanEnv({ BLINDFIT_SERVER: 'http://127.0.0.1:1', BLINDFIT_TOKEN: 'x'.repeat(20) });
  for (const [args, message] of [
    [['set', 'a', '--weight', '0'], /number from 0.01 to 100/],
    [['set', 'a', '--running-jobs', '0'], /whole number from 1 on/],
    [['set', 'a', '--bytes', '1.5'], /whole number from 0 on/],
    [['set'], /missing required argument 'tenant'/],
  ] as const) {
    const { status, stderr } = await askCli(['tenant', ...args], env);
    assert.equal(status, 2, stderr);
    assert.match(stderr, message);
  }
});
