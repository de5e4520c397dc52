import { Type } from 'typebox';
import { optional, variable } from './config.ts';

/** The settings of commands besides those of services. */
export const commandVariables = {
  server: optional(
    variable({
      env: 'BLINDFIT_SERVER',
      schema: Type.String(),
      description:
        'Address of the API that commands speak to; unset: that of the "blindfit up" of this machine, or for ' +
        'train a private stack',
      allowed: 'http://host:port or https://host',
    }),
  ),
  redisServer: optional(
    variable({
      env: 'BLINDFIT_REDIS_SERVER',
      schema: Type.String(),
      description:
        'Program of a private Redis, which up, demo and train start; unset: redis-server on PATH, a copy ' +
        'fetched earlier, or the package of Debian, unpacked without root',
      allowed: 'path of a redis-server, version 6.2 or newer',
    }),
  ),
  passphrase: optional(
    variable({
      env: 'BLINDFIT_PASSPHRASE',
      schema: Type.String({ pattern: '^[^\\n]{1,1000}$' }),
      description: 'Passphrase of secret keys: opens those that are under one, and new ones are put under it',
      allowed: '1 to 1000 characters on one line',
      secret: true,
    }),
  ),
  debug: optional(
    variable({
      env: 'BLINDFIT_DEBUG',
      schema: Type.String(),
      description: 'Whether commands print the stack with every error; unset: no',
      allowed: '1 or anything else for yes',
    }),
  ),
} as const;
