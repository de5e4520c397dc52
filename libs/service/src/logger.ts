import { EventEmitter } from 'node:events';
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { traceFields } from './trace-context.ts';

export type Logger = PinoLogger;

export interface LoggerOptions {
  /** Name of the service; a field of every line. */
  service: string;
  /** Least important level that is written. @default 'info' */
  level?: string;
  /** Where the lines go. @default standard output */
  destination?: DestinationStream;
}

const SECRETS = ['authorization', 'token', 'password'];

const guarded = new WeakSet<object>();

/** A full disk must not end a service: what cannot be written to its log is lost, and the work goes on. */
function ignoreErrors(destination: DestinationStream): void {
  if (!(destination instanceof EventEmitter) || guarded.has(destination)) return;
  guarded.add(destination);
  destination.on('error', () => undefined);
}

/**
 * A logger that writes one JSON line per event, with ISO times, level names and the span it belongs to, and never a
 * credential.
 */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    mixin: traceFields,
    redact: {
      // pino matches exact depths: the event itself, an object in it, and the headers of a request in it.
      paths: [...SECRETS, ...SECRETS.map((name) => `*.${name}`), ...SECRETS.map((name) => `*.*.${name}`)],
      censor: '[redacted]',
    },
  };
  if (options.destination === undefined) return pino(settings);
  ignoreErrors(options.destination);
  return pino(settings, options.destination);
}
