/** The environment of the services of a stack. */
import { join } from 'node:path';
import { variables } from '@blindfit/service/settings';
import { STOP_SECONDS } from './child-service.ts';

export interface EnvironmentOptions {
  readonly workers: number;
  readonly port: number;
  readonly redisUrl: string;
  readonly storeUrl: string;
  readonly token: string;
  readonly dataDir: string;
  /** Where the API writes its audit log. @default as the environment says */
  readonly auditLog?: string | undefined;
}

/** The environment of all services but for their number of threads. @param outer what the stack itself was given */
export function environmentOf(
  { workers, port, redisUrl, storeUrl, token, dataDir, auditLog }: EnvironmentOptions,
  outer: NodeJS.ProcessEnv,
): NodeJS.ProcessEnv {
  const keyMemory = variables.keyMemoryMb.default?.(outer) ?? 1024;
  return {
    // Half of the memory is a default for one worker, not for each of several.
    BLINDFIT_KEY_MEMORY_MB: String(Math.max(64, Math.floor(keyMemory / Math.max(1, workers)))),
    ...outer,
    // Servers have nothing that it opens.
    BLINDFIT_PASSPHRASE: undefined,
    BLINDFIT_REDIS_URL: redisUrl,
    BLINDFIT_STORE: storeUrl,
    BLINDFIT_TOKEN: token,
    BLINDFIT_HOST: '127.0.0.1',
    BLINDFIT_PORT: String(port),
    // It listens on this machine only, by an address that few certificates are for.
    BLINDFIT_TLS_CERT: '',
    BLINDFIT_TLS_KEY: '',
    BLINDFIT_METRICS_PORT: '0',
    BLINDFIT_STOP_SECONDS: String(STOP_SECONDS),
    BLINDFIT_CACHE_DIR: join(dataDir, 'cache'),
    BLINDFIT_AUDIT_LOG: auditLog ?? outer['BLINDFIT_AUDIT_LOG'],
  };
}

/** Additions and constants are a small part of the work. */
export function schedulerThreads(threads: number, workers: number): number {
  return Math.max(1, Math.ceil((threads * workers) / 8));
}
