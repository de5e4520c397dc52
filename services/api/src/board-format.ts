/** How queue entries read on the operators' page: what they are about first, digests cut short, long lists cut off. */
import { jobOf } from '@blindfit/queue';

/** What is used of an entry as the page gets it. */
export interface BoardEntry {
  readonly id?: string | number | null | undefined;
  readonly name: string;
  readonly data: unknown;
}

const MAX_ITEMS = 6;
const DIGEST = /sha256:([0-9a-f]{64})/g;

/** For example `forward · job 0123abcd… · iteration 3 · pair 2 · shards 0-3`. */
export function titleOf(entry: BoardEntry): string {
  const id = String(entry.id ?? '');
  const data = isRecord(entry.data) ? entry.data : {};
  const kind =
    typeof data['kind'] === 'string'
      ? data['kind']
      : typeof data['chain'] === 'number'
        ? `chain ${data['chain']}`
        : entry.name === 'finish'
          ? 'finish'
          : 'begin';
  const parts = [kind, `job ${shortJob(jobOf(id))}`];
  for (const name of ['segment', 'iteration', 'pair'] as const)
    if (typeof data[name] === 'number') parts.push(`${name} ${data[name]}`);
  for (const name of ['shards', 'blocks'] as const) {
    const range = rangeOf(data[name]);
    if (range !== undefined)
      parts.push(`${range.includes('-') || range.includes(',') ? name : name.slice(0, -1)} ${range}`);
  }
  return parts.join(' · ');
}

/** The same value with digests of 12 digits, and of long lists only the beginning. */
export function shortened(value: unknown): unknown {
  if (typeof value === 'string')
    return value.replace(DIGEST, (_whole, digits: string) => `sha256:${digits.slice(0, 12)}…`);
  if (Array.isArray(value)) {
    const shown = value.slice(0, MAX_ITEMS).map(shortened);
    return value.length > MAX_ITEMS ? [...shown, `… ${value.length - MAX_ITEMS} more`] : shown;
  }
  return isRecord(value)
    ? Object.fromEntries(Object.entries(value).map(([name, each]) => [name, shortened(each)]))
    : value;
}

function shortJob(job: string): string {
  const digits = job.replace(/^job-/, '');
  return digits.length > 8 ? `${digits.slice(0, 8)}…` : digits;
}

/** `0-3` for neighbours, else the numbers themselves. */
function rangeOf(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length === 0 || !value.every((each): each is number => typeof each === 'number'))
    return undefined;
  const [first = 0] = value;
  const last = value.at(-1) ?? first;
  if (value.length === 1) return String(first);
  return value.every((each, i) => each === first + i)
    ? `${first}-${last}`
    : value.length > MAX_ITEMS
      ? `${value.slice(0, MAX_ITEMS).join(',')},…`
      : value.join(',');
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
