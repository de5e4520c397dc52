/** Figures from repeated measurements, in which other work on the machine only ever adds time. */
import { required } from '@blindfit/base';
import { OPERATIONS, type Operation } from './calibration.ts';

export function lowerQuartile(times: readonly number[]): number {
  const sorted = times.toSorted((a, b) => a - b);
  return required(sorted[Math.floor(sorted.length / 4)], 'a time');
}

/** The less of two measurements of each operation. */
export function lesser(
  a: Partial<Record<Operation, number>>,
  b: Partial<Record<Operation, number>>,
): Partial<Record<Operation, number>> {
  return Object.fromEntries(
    OPERATIONS.flatMap((name): [Operation, number][] => {
      const seconds = Math.min(a[name] ?? Infinity, b[name] ?? Infinity);
      return seconds === Infinity ? [] : [[name, seconds]];
    }),
  );
}
