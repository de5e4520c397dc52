/** The scripts of the component redis-sentinel with real programs: who is master, and what a handover loses. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectRedis, createLogger, parseRedisUrl } from '@blindfit/service';
import { temporaryDirectory } from '@blindfit/testkit';
import { settled, startRedisGroup } from './redis-group.ts';

// Half a minute of waiting for Sentinels, and minutes on a busy machine.
const skip = process.env['BLINDFIT_TEST_ALL'] === '1' ? false : 'BLINDFIT_TEST_ALL=1 runs it';

it('three Redis choose a master, hand over without losing a write, and outlive one killed', { skip }, async (t) => {
  const group = await startRedisGroup(await temporaryDirectory(t));
  if (group === undefined) return t.skip('there is no redis-cli');
  const { pods, url } = group;
  t.after(() => group.stop());
  for (const pod of pods) pod.start();
  const first = await settled(pods);
  assert.equal(first, pods[0], 'the first pod begins');

  const redis = connectRedis(parseRedisUrl(url), createLogger({ service: 'test', level: 'silent' }));
  t.after(() => redis.disconnect());
  let acknowledged = 0;
  const stop = new AbortController();
  const writing = (async () => {
    while (!stop.signal.aborted) {
      const value = await redis.incr('counter').catch(() => undefined);
      if (value !== undefined) acknowledged = value;
      await sleep(5);
    }
  })();
  const more = async (): Promise<void> => {
    for (const before = acknowledged; acknowledged < before + 20;) await sleep(20);
  };
  await more();

  await first.end();
  await more();
  const second = pods.find((pod) => pod !== first && pod.role === 'master');
  assert.ok(second !== undefined, 'another one is the master');
  // Had a write been lost, a number would have come twice.
  assert.ok(Number(await redis.get('counter')) >= acknowledged);
  const handedOver = acknowledged;

  first.start();
  assert.equal(await settled(pods), second, 'the first comes back as a replica');
  assert.ok(Number(first.cli('get', 'counter')) >= handedOver);
  await second.kill();
  await more();

  const handover = pods.find((pod) => pod !== second && pod.role === 'master');
  stop.abort();
  await writing;
  const last = acknowledged;
  await group.stop();
  for (const pod of [...pods].reverse()) pod.start();
  const third = await settled(pods);
  assert.equal(third, handover, 'the master of before is master again, not one that missed what it wrote');
  assert.equal(Number(third.cli('get', 'counter')), last);
});
