/** Limits of clients by themselves: how many, how often, how large. */
import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { test } from 'node:test';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { required } from '@blindfit/base';
import type { Scope } from '@blindfit/protocol';
import { enter, limitBodyTime, mayBeLarge, SMALL_BODY } from '../src/bounds.ts';
import { Gate } from '../src/gate.ts';
import { RateWindow } from '../src/rate-window.ts';
import { stopClock } from './clock.ts';

test('a gate lets so many of a key in, and so many in all; leaving makes room for one', () => {
  const gate = new Gate({ perKey: 2, total: 3 });
  const [first, second] = [gate.enter('a'), gate.enter('a')];
  assert.ok(first !== undefined && second !== undefined);
  assert.equal(gate.enter('a'), undefined);
  assert.ok(gate.enter('b') !== undefined);
  assert.equal(gate.enter('b'), undefined, 'the total');
  first();
  first();
  const again = required(gate.enter('a'), 'the room of the one that left');
  assert.equal(gate.enter('a'), undefined, 'leaving twice counts once');
  assert.equal(gate.enter('c'), undefined);
  again();
  second();
  for (const key of ['c', 'd']) assert.ok(gate.enter(key) !== undefined, 'nothing is left of those that have gone');
  assert.equal(gate.enter('e'), undefined);
});

test('a rate is counted by key and by minute, and keys beyond ten thousand count together', () => {
  const window = new RateWindow(2);
  const admitted = (key: string, ...times: number[]): boolean[] => times.map((now) => window.admit(key, now));
  assert.deepEqual(admitted('a', 0, 1, 59_999), [true, true, false]);
  assert.deepEqual(admitted('b', 59_999), [true]);
  assert.deepEqual(admitted('a', 60_000, 60_001, 60_002), [true, true, false], 'a minute later it begins anew');
  for (let i = 0; i < 9_999; i++) assert.equal(window.admit(`k${i}`, 60_003), true);
  assert.deepEqual(
    ['x', 'y', 'z'].map((key) => window.admit(key, 60_004)),
    [true, true, false],
  );
  assert.equal(window.admit('k5', 60_005), true, 'known ones have their own count');
  assert.equal(window.admit('z', 120_000), true);
});

test('a body is large when it says so, or does not say how large it is', () => {
  const large = (length?: string): boolean => mayBeLarge({ headers: { 'content-length': length } } as FastifyRequest);
  assert.deepEqual([undefined, '0', String(SMALL_BODY), String(SMALL_BODY + 1), 'x'].map(large), [
    true,
    false,
    false,
    true,
    true,
  ]);
  assert.equal(SMALL_BODY, 131_072);
});

test('a tenant has so many answers under way; workers have no limit but for large submissions', () => {
  const gate = new Gate({ perKey: 1, total: 10 });
  const headers: unknown[][] = [];
  const ask = (tenant: string, what: Parameters<typeof enter>[3], ...scopes: Scope[]): EventEmitter => {
    const raw = new EventEmitter();
    const reply = { raw, header: (...header: unknown[]) => void headers.push(header) } as unknown as FastifyReply;
    enter(gate, { principal: { name: 'n', tenant, scopes: new Set(scopes) } } as never, reply, what);
    return raw;
  };
  const first = ask('a', 'streams', 'read');
  assert.throws(() => ask('a', 'streams', 'read'), { status: 429, hint: /GET \/v1\/jobs\/events/ });
  assert.throws(() => ask('a', 'uploads', 'submit'), { status: 429, hint: /when some of them have ended/ });
  assert.deepEqual(headers, Array(2).fill(['retry-after', '1']));
  ask('a', 'uploads', 'work');
  ask('b', 'streams', 'read');
  assert.throws(() => ask('a', 'large submissions', 'work'), { status: 429 });
  first.emit('close');
  ask('a', 'streams', 'read');
  enter(gate, { principal: undefined } as never, {} as never, 'streams');
});

test('a body must be complete in its time, or come at its rate', async (t) => {
  const clock = stopClock(t);
  t.mock.method(performance, 'now', () => Date.now());
  const start = (minUploadRate?: number) => {
    const socket = { bytesRead: 1_000, destroyed: 0, destroy: () => socket.destroyed++ };
    const raw = Object.assign(new EventEmitter(), { socket, complete: false });
    const request = { raw, log: { info: () => undefined } } as unknown as FastifyRequest;
    const reply = { raw: { headersSent: true } } as unknown as FastifyReply;
    limitBodyTime(request, reply, { bodyMs: 1000, ...(minUploadRate !== undefined && { minUploadRate }) });
    return { raw, socket };
  };
  const timers = clock.timers();
  const [slow, quick, complete, gone, small] = [start(100), start(100), start(100), start(100), start()];
  quick.socket.bytesRead += 100;
  slow.socket.bytesRead += 99;
  small.socket.bytesRead += 1e6;
  complete.raw.complete = true;
  gone.raw.emit('close');
  await clock.pass(1000);
  const ended = (): number[] => [slow, quick, complete, gone, small].map(({ socket }) => socket.destroyed);
  assert.deepEqual(ended(), [1, 0, 0, 0, 1]);
  await clock.pass(1000);
  assert.deepEqual(ended(), [1, 1, 0, 0, 1], 'the rate is that of the whole time');
  assert.equal(clock.timers(), timers);
});
