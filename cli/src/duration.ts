import { InvalidArgumentError } from 'commander';

const UNITS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Parses lengths of time for commander: `30s`, `12h`, `90d`. @returns milliseconds @throws InvalidArgumentError */
export function millisecondsOf(text: string): number {
  const [, amount, unit = ''] = /^([1-9][0-9]{0,4})([smhd])$/.exec(text) ?? [];
  const milliseconds = UNITS[unit];
  if (amount === undefined || milliseconds === undefined)
    throw new InvalidArgumentError('It is a whole number and one of s, m, h and d, e.g. 90d.');
  return Number(amount) * milliseconds;
}
