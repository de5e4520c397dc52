import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createConnection } from 'node:net';
import { test } from 'node:test';
import { BlindfitError, faultOf, isRedisAway, outageIn, redisOutageOf } from '@blindfit/base';

const reply = (message: string, more: object = {}): Error =>
  Object.assign(new Error(message), { name: 'ReplyError' }, more);

const REPLIES = [
  ["READONLY You can't write against a read only replica.", 'READONLY'],
  ['UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)', 'UNBLOCKED'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 6b, on @user_script:14.", 'OOM'],
  ['ERR Error running script (call to f_6b): @user_script:9: @user_script: 9: -OOM command not allowed', 'OOM'],
  ['ERR Error running script (call to f_1): @user_script:9: @user_script: 9: \n-READONLY no', undefined],
  ['MISCONF Redis is configured to save RDB snapshots, but it is unable to persist to disk.', 'MISCONF'],
  ['ReplyError: READONLY You cannot write', 'READONLY'],
  ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS'],
  ['LOADING Redis is loading the dataset in memory', 'LOADING'],
  ['CLUSTERDOWN Hash slot not served', 'CLUSTERDOWN'],
  ['MASTERDOWN Link with MASTER is down', 'MASTERDOWN'],
  ['TRYAGAIN Multiple keys request during rehashing of slot', 'TRYAGAIN'],
  ['BUSY Redis is busy running a script.', 'BUSY'],
  ['WRONGTYPE Operation against a key holding the wrong kind of value', undefined],
  ['ERR unknown command', undefined],
  ['OOMPH is no reply', undefined],
  ['a task that met READONLY', undefined],
] as const;

test('replies of Redis that it cannot serve now are the fault of the world', () => {
  for (const [message, outage] of REPLIES) {
    assert.equal(outageIn(message), outage, message);
    assert.equal(redisOutageOf(reply(message)), outage);
    assert.equal(isRedisAway(reply(message)), outage !== undefined);
    assert.equal(faultOf(reply(message)), outage === undefined ? 'task' : 'world');
  }
  assert.equal(redisOutageOf('READONLY as text'), undefined);
});

test('a transaction that was discarded has the outage of its commands', () => {
  const discarded = reply('EXECABORT Transaction discarded because of previous errors.', {
    previousErrors: [reply('ERR syntax error'), reply('OOM command not allowed')],
  });
  assert.equal(redisOutageOf(discarded), 'OOM');
  assert.equal(faultOf(discarded), 'world');
  assert.equal(faultOf(reply('EXECABORT Transaction discarded', { previousErrors: [reply('ERR syntax')] })), 'task');
});

test('no answer of Redis is the fault of the world, and so is a refused password', () => {
  for (const error of [
    new Error('Command timed out'),
    new Error('Connection is closed.'),
    new Error('Socket closed unexpectedly'),
    Object.assign(new Error('x'), { name: 'ConnectionClosedError' }),
    Object.assign(new Error('x'), { name: 'MaxRetriesPerRequestError' }),
    Object.assign(new Error('Failed to refresh slots cache.'), { name: 'ClusterAllFailedError' }),
    new BlindfitError('REDIS_UNAVAILABLE', 'away', { fault: 'world' }),
  ]) {
    assert.ok(isRedisAway(error), error.message);
    assert.equal(faultOf(error), 'world');
  }
  for (const message of [
    'NOAUTH Authentication required.',
    'WRONGPASS invalid',
    'NOPERM this user has no permissions',
  ]) {
    assert.equal(faultOf(reply(message)), 'world');
    assert.equal(isRedisAway(reply(message)), false);
  }
});

test('an error says itself whose fault it is; the default is the task', () => {
  assert.equal(faultOf(new BlindfitError('X', 'x')), 'task');
  for (const fault of ['task', 'host', 'world'] as const)
    assert.equal(faultOf(new BlindfitError('X', 'READONLY', { fault })), fault);
  assert.equal(isRedisAway(new BlindfitError('X', 'Command timed out')), false);
  assert.equal(isRedisAway(new BlindfitError('STORE_AWAY', 'x', { fault: 'world' })), false);
});

test('errors of the system are those of this host or of the network; bugs count as the task', async () => {
  const missing = await readFile('/nowhere/at/all').catch((error: unknown) => error);
  assert.equal(faultOf(missing), 'host');
  const refused = await new Promise((resolve) => createConnection({ port: 1, host: '127.0.0.1' }).on('error', resolve));
  assert.equal(faultOf(refused), 'world');
  const system = (code: string): Error => Object.assign(new Error(code), { code, errno: -1 });
  const codes = {
    host: 'ENOSPC EDQUOT EFBIG EIO EROFS ENOENT ENOTDIR EACCES EPERM EMFILE ENFILE ENOMEM ESTALE ENODEV ENXIO EBUSY',
    world: 'ECONNREFUSED ECONNRESET ECONNABORTED ETIMEDOUT EPIPE ENOTFOUND EAI_AGAIN EHOSTUNREACH ENETUNREACH ENETDOWN',
  };
  for (const [fault, names] of Object.entries(codes))
    for (const code of names.split(' ')) assert.equal(faultOf(system(code)), fault, code);
  assert.equal(faultOf(system('EEXIST')), 'task');
  assert.equal(faultOf(Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })), 'task');
  for (const code of ['ERR_WORKER_OUT_OF_MEMORY', 'ERR_MEMORY_ALLOCATION_FAILED', 'ERR_WORKER_INIT_FAILED'])
    assert.equal(faultOf(Object.assign(new Error('x'), { code })), 'host', code);
  for (const message of [
    'Array buffer allocation failed',
    'JS heap out of memory',
    'Worker terminated due to reaching memory limit: JS heap out of memory',
  ])
    assert.equal(faultOf(new Error(message)), 'host', message);
  assert.equal(faultOf(new Error('a cache: Array buffer allocation failed')), 'task');
  for (const bug of [new TypeError('x is not a function'), 'text', undefined]) assert.equal(faultOf(bug), 'task');
});
