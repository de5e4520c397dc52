/** Numbers and text as people read them on a terminal. */
import { formatSeconds } from '@blindfit/report/format';

export { formatBytes, formatCount, formatPercent, formatSeconds } from '@blindfit/report/format';

/** An estimate, which claims no more precision than it has: `a moment`, `15 s`, `4 min`, `2 h 05 min`. */
export function formatEta(seconds: number): string {
  const value = Math.max(0, seconds);
  if (value < 1) return 'a moment';
  if (value < 10) return `${Math.ceil(value)} s`;
  if (value < 57.5) return `${Math.ceil(value / 5) * 5} s`;
  if (value < 3570) return `${Math.round(value / 60)} min`;
  return formatSeconds(value);
}

/** Time since an ISO time: `just now`, `4 min ago`, `3 d ago`. */
export function formatAge(iso: string, now: number = Date.now()): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!Number.isFinite(seconds)) return 'unknown';
  if (seconds < 10) return 'just now';
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 48 * 3600) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} d ago`;
}

/** Text from elsewhere, without the control characters by which it could command a terminal; line breaks stay. */
export function printable(text: string): string {
  return text.replace(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, '\uFFFD');
}
