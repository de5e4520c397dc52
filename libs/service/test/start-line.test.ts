/** What the log of a service begins with, and what it leaves out during an outage. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { optional, readConfig } from '../src/config.ts';
import { connectionErrors } from '../src/connection-errors.ts';
import { startFacts } from '../src/start-line.ts';
import { variables } from '../src/variables.ts';

test('the first line has the settings without secrets, and the commit', () => {
  const { redisUrl, store, token, threads } = variables;
  const table = { redisUrl, store, token: optional(token), threads };
  const config = readConfig(table, {
    BLINDFIT_REDIS_URL: 'rediss://user:se%40cret@redis.internal:6380/1',
    BLINDFIT_STORE: 'file:///srv/blobs',
    BLINDFIT_TOKEN: 'a-very-secret-token',
    BLINDFIT_THREADS: '3',
  });
  const facts = startFacts(table, config) as { readonly version: string; readonly revision: string };
  assert.match(facts.version, /^\d+\.\d+\.\d+/);
  assert.match(facts.revision, /^([0-9a-f]{12}|unknown)$/);
  assert.deepEqual(
    { ...facts, version: '', revision: '' },
    {
      version: '',
      revision: '',
      settings: {
        BLINDFIT_REDIS_URL: 'rediss://***@redis.internal:6380/1',
        BLINDFIT_STORE: 'file:///srv/blobs',
        BLINDFIT_THREADS: 3,
      },
    },
  );
});

test('errors of a Redis that is away are left to the log of its connection; others are warnings', () => {
  const lines: [string, object, string][] = [];
  const log = (level: string) => (facts: object, message: string) => void lines.push([level, facts, message]);
  const logger = { debug: log('debug'), warn: log('warn') } as unknown as Parameters<typeof connectionErrors>[0];
  const listener = connectionErrors(logger, 'queue', { queue: 'tasks' });
  const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:6379'), {
    code: 'ECONNREFUSED',
    errno: -111,
    syscall: 'connect',
  });
  const bug = new TypeError('a bug');
  for (const error of [refused, new Error('LOADING Redis is loading the dataset in memory'), bug]) listener(error);
  assert.deepEqual(
    lines.map(([level]) => level),
    ['debug', 'debug', 'warn'],
  );
  assert.deepEqual(lines[2], ['warn', { queue: 'tasks', err: bug }, 'queue']);
});
