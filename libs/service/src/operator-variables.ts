import { Type } from 'typebox';
import { optional, variable, type Variable } from './config.ts';

/** Tokens that the API is started with beside the first one. */
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
  workToken: serviceToken('BLINDFIT_WORK_TOKEN', 'work', 'schedulers and workers that read blobs through the API'),
  metricsToken: serviceToken('BLINDFIT_METRICS_TOKEN', 'metrics', 'Prometheus'),
} as const;

function serviceToken(env: string, scope: string, whose: string): Variable<string | undefined> {
  return optional(
    variable({
      env,
      schema: Type.String({ pattern: '^[!-~]{16,512}$' }),
      description: `Token with the scope ${scope} and no other, for ${whose}; unset: none but those that were made`,
      allowed: '16 to 512 printable ASCII characters without spaces, another token than the other ones',
      secret: true,
    }),
  );
}
