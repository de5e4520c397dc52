/**
 * When each alert fires, once more and by hand: a number that slips in a rule, just below or just above, is seen
 * without Prometheus' own tool, and whoever changes one on purpose changes it here as well.
 */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { rules } from './files.ts';

/** Comparisons in the expression, in order, and how long they have to hold. */
const THRESHOLDS: Readonly<Record<string, readonly [string, string]>> = {
  BlindfitTargetDown: ['', '2m'],
  BlindfitNoApi: ['', '3m'],
  BlindfitNoScheduler: ['', '3m'],
  BlindfitNoWorkers: ['> 0', '5m'],
  BlindfitMemoryNearLimit: ['> 0.9', '5m'],
  BlindfitNoProgress: ['> 900 > 0', '1m'],
  BlindfitAwaitingRefresh: ['> 3600', '1m'],
  BlindfitJobsFailing: ['> 0.2 > 1.5', '1m'],
  BlindfitTasksFailing: ['> 0.05', '10m'],
  BlindfitTasksStalled: ['> 0', ''],
  BlindfitQueueLag: ['> 600 > 14400', '10m'],
  BlindfitHostStopped: ['> 0', '1m'],
  BlindfitOutage: ['> 0', '1m'],
  BlindfitRedisUnreachable: ['', '1m'],
  BlindfitRedisMemoryNearLimit: ['> 0.85', '5m'],
  BlindfitStoreNearlyFull: ['< 0.15', '10m'],
  BlindfitStoreFull: ['< 0.05', '1m'],
  BlindfitCollectorNotRunning: ['> 10800', '10m'],
  BlindfitCollectorHindered: ['> 0', '5m'],
  BlindfitCacheDamaged: ['> 0', ''],
  BlindfitApiErrors: ['> 0.05', '5m'],
  BlindfitStoreSlow: ['> 1', '1m'],
  BlindfitRedisNotPersisting: ['> 0', '1m'],
  BlindfitNewerEntries: ['> 0', '1m'],
  BlindfitSpansLost: ['> 0', '10m'],
  BlindfitMaintenance: ['> 0', '24h'],
  BlindfitWatchdog: ['', ''],
};

it('every alert fires at its threshold, after its time', () => {
  const found = rules().flatMap(({ alert, expr, for: time = '' }): [string, [string, string]][] => {
    const comparisons = expr.replace(/\{[^}]*\}/g, '').match(/[<>]=?\s*[\d.]+/g) ?? [];
    return alert === undefined ? [] : [[alert, [comparisons.join(' '), time]]];
  });
  assert.deepEqual(Object.fromEntries(found), THRESHOLDS);
});
