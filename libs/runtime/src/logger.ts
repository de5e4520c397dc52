import { pino } from 'pino';
import type { DestinationStream, Logger as PinoLogger } from 'pino';

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

/** A logger that writes one JSON line per event, with ISO times and level names, and never a credential. */
export function createLogger(options: LoggerOptions): Logger {
  const settings = {
    level: options.level ?? 'info',
    base: { service: options.service, pid: process.pid },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    redact: {
      // pino matches exact depths: the event itself, an object in it, and the headers of a request in it.
      paths: [...SECRETS, ...SECRETS.map((name) => `*.${name}`), ...SECRETS.map((name) => `*.*.${name}`)],
      censor: '[redacted]',
    },
  };
  return options.destination === undefined ? pino(settings) : pino(settings, options.destination);
}
