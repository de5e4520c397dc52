import { Type } from 'typebox';
import { optional, variable, type Config, type Variable } from './config.ts';

function integer(env: string, description: string): Variable<number> {
  return variable({
    env,
    schema: Type.Integer({ minimum: 1, maximum: Number.MAX_SAFE_INTEGER }),
    description,
    allowed: 'an integer from 1 on',
  });
}

/** The limits of a tenant for which `blindfit tenant set` has set no others. */
export const tenantVariables = {
  tenantRunningJobs: {
    ...integer('BLINDFIT_TENANT_RUNNING_JOBS', 'Jobs of a tenant that run at a time; more of them wait'),
    default: () => 8,
  },
  tenantJobs: {
    ...integer('BLINDFIT_TENANT_JOBS', 'Jobs of a tenant that have not ended; more of them are refused'),
    default: () => 10_000,
  },
  tenantBytes: optional(
    integer('BLINDFIT_TENANT_BYTES', 'Bytes of stored blobs of a tenant; more are refused; unset: any number'),
  ),
  tenantComputeSeconds: optional(
    integer(
      'BLINDFIT_TENANT_COMPUTE_SECONDS',
      'Seconds of threads that a tenant may use on a day in UTC; unset: any number',
    ),
  ),
} as const;

/** The limits of tenants, from the settings of a service. */
export function tenantDefaultsOf(config: Config<typeof tenantVariables>) {
  return {
    runningJobs: config.tenantRunningJobs,
    jobs: config.tenantJobs,
    bytes: config.tenantBytes,
    computeSeconds: config.tenantComputeSeconds,
  };
}
