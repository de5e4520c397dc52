import { readFileSync } from 'node:fs';
import { totalmem } from 'node:os';

/**
 * Bytes of this process that the kernel cannot take back: without the pages of files that it has mapped. Where the
 * system does not tell, all that is resident.
 */
export function usedMemory(): number {
  try {
    const kilobytes = /^RssAnon:\s*(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    if (kilobytes !== undefined) return Number(kilobytes) * 1024;
  } catch {
    // Not on Linux.
  }
  return process.memoryUsage.rss();
}

/** Bytes this process may use: the limit of its container where there is one, else the memory of the machine. */
export function availableMemory(): number {
  const limit = process.constrainedMemory();
  return limit > 0 ? Math.min(limit, totalmem()) : totalmem();
}
