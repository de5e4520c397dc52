import { Type } from 'typebox';
import { optional, variable } from './config.ts';

/** What the API understands for the page on which operators see the queues. */
export const operatorVariables = {
  operatorToken: optional(
    variable({
      env: 'BLINDFIT_OPERATOR_TOKEN',
      schema: Type.String({ pattern: '^[!-~]{16,512}$' }),
      description: 'Token of the page at /admin/queues on which operators see the queues; unset: no such page',
      allowed: '16 to 512 printable ASCII characters without spaces, another token than BLINDFIT_TOKEN',
      secret: true,
    }),
  ),
} as const;
