import { Writable } from 'node:stream';
import { createLogger, type Logger } from '@blindfit/service';

export interface LogCapture {
  logger: Logger;
  /** The lines so far, parsed. */
  lines: Record<string, unknown>[];
}

/** A real logger whose lines are collected. */
export function captureLog(level = 'debug'): LogCapture {
  const lines: Record<string, unknown>[] = [];
  const destination = new Writable({
    write(chunk: Buffer, _encoding, done) {
      for (const line of chunk.toString().trimEnd().split('\n'))
        lines.push(JSON.parse(line) as Record<string, unknown>);
      done();
    },
  });
  return { logger: createLogger({ service: 'test', level, destination }), lines };
}

/** Waits until a condition holds; fails after ten seconds. */
export async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`waited ten seconds in vain until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
