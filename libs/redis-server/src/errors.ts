import { BlindfitError, type BlindfitErrorOptions } from '@blindfit/base';

/** `REDIS_START`: Redis was found but did not come up, or its data directory is in use. */
export class RedisStartError extends BlindfitError {
  constructor(message: string, options?: BlindfitErrorOptions) {
    super('REDIS_START', message, { fault: 'host', ...options });
  }
}
