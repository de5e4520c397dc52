/** Numbers in the form that people read. */
import { at } from '@blindfit/base';

const UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const;

/** `0 B`, `1.5 KiB`, `14.7 MiB`, `150 MiB`: three digits are enough. */
export function formatBytes(bytes: number): string {
  let [value, unit] = [Math.max(0, bytes), 0];
  while (value >= 999.5 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? String(Math.round(value)) : threeDigits(value)} ${at(UNITS, unit, 'units')}`;
}

/** `0.042 s`, `3.2 s`, `42 s`, `3 min 20 s`, `2 h 05 min`, `3 d 4 h`. */
export function formatSeconds(seconds: number): string {
  const value = Math.max(0, seconds);
  if (!Number.isFinite(value)) return 'unknown';
  if (value < 1) return `${value.toFixed(3)} s`;
  if (value < 9.95) return `${value.toFixed(1)} s`;
  if (value < 59.5) return `${Math.round(value)} s`;
  if (value < 3599.5) {
    const whole = Math.round(value);
    return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  }
  const minutes = Math.round(value / 60);
  if (minutes < 24 * 60) return `${Math.floor(minutes / 60)} h ${two(minutes % 60)} min`;
  const hours = Math.round(value / 3600);
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

/** `1,234,567` */
export function formatCount(value: number): string {
  return value.toLocaleString('en-US', { maximumFractionDigits: 0 });
}

/** `79.30 %` of a part of 1. */
export function formatPercent(part: number): string {
  return `${(100 * part).toFixed(2)} %`;
}

function threeDigits(value: number): string {
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : String(Math.round(value));
}

function two(value: number): string {
  return String(value).padStart(2, '0');
}
