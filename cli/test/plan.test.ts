import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { required } from '@blindfit/base';
import { temporaryDirectory } from '@blindfit/testkit';
import { askCli, cleanEnv, runCli } from './support.ts';

const JOB = ['plan', '--samples', '40', '--features', '12', '--classes', '4'];
/** With refreshes, on a small ring. */
const REFRESHED = [...JOB, '--iterations', '3', '--refresh-every', '1', '--sigmoid-degree', '1'];

test('plan prints what a job needs and how long it takes; the second time from what was measured', async (t) => {
  const cache = await temporaryDirectory(t);
  const env = cleanEnv({ XDG_CACHE_HOME: cache });
  const text = await runCli(t, REFRESHED, env);
  assert.equal(text.status, 0, text.stderr);
  assert.match(text.stderr, /measuring this machine/);
  for (const line of [
    /^ring +N = \d+/m,
    /^modulus +log2 QP/m,
    /^scale, levels .*after each refresh/m,
    /^refreshes +2, every 1 iterations/m,
    /^blocks +/m,
    /^tasks .* in all$/m,
    /^keys +/m,
    /^operations +/m,
    /^bytes +/m,
    /^store +\d[\d.]* [kMG]i?B of intermediate results until a day after the end$/m,
    /^memory .* a compute thread, .* on a host$/m,
    /^time +about .* of training with \d+ vCPUs on this machine/m,
    /^before it +keys/m,
  ]) {
    assert.match(text.stdout, line);
  }
  assert.equal((await readdir(join(cache, 'blindfit', 'calibrations'))).length, 1);

  const json = await askCli([...REFRESHED, '--vcpus', '64', '--json', '--simulate'], env);
  assert.equal(json.status, 0, json.stderr);
  assert.doesNotMatch(json.stderr, /measuring/);
  const plan = JSON.parse(json.stdout) as {
    refreshEvery: number;
    refreshes: number;
    keys: number;
    rotationSteps: number[];
    predicted: { vcpus: number; onThisMachine: boolean; seconds: Record<string, number> };
    simulation: { vcpus: number; efficiency: number; seconds: { train: number; criticalPath: number } }[];
  };
  assert.deepEqual([plan.refreshEvery, plan.refreshes, plan.keys], [1, 2, plan.rotationSteps.length + 1]);
  assert.equal(plan.predicted.vcpus, 64);
  assert.ok(required(plan.predicted.seconds['train'], 'seconds of training') > 0);
  assert.deepEqual(
    plan.simulation.map(({ vcpus }) => vcpus),
    [1, 2, 4, 8, 16, 32, 64, 128, 256],
  );
  assert.equal(plan.simulation[0]?.efficiency, 1);
  for (const { vcpus, efficiency, seconds } of plan.simulation) {
    assert.ok(efficiency > 0 && efficiency <= 1.1, `${efficiency} on ${vcpus}`);
    assert.ok(seconds.train >= seconds.criticalPath);
  }

  const simulated = await askCli([...JOB, '--iterations', '1', '--simulate'], env);
  assert.equal(simulated.status, 0, simulated.stderr);
  assert.match(simulated.stdout, /^ +1 +\S.* nothing$/m);
  assert.match(simulated.stdout, /^ +256 +\S.* never .*too few tasks at a time \d+ %/m, 'a line for every size');
  assert.match(simulated.stdout, /No number of threads trains by the last plan in less than/);
});

test('plan --no-measure prints no times and measures nothing', async (t) => {
  const cache = await temporaryDirectory(t);
  const env = cleanEnv({ XDG_CACHE_HOME: cache });
  const { status, stdout, stderr } = await askCli([...JOB, '--no-measure'], env);
  assert.equal(status, 0);
  assert.equal(stderr, '');
  assert.match(stdout, /^weights/m);
  assert.doesNotMatch(stdout, /^time/m);
  assert.deepEqual(await readdir(cache), []);
  const wrong = await askCli([...JOB, '--no-measure', '--simulate'], env);
  assert.equal(wrong.status, 2);
  assert.match(wrong.stderr, /^error: option '--simulate' cannot be used with option '--no-measure'/);
});
