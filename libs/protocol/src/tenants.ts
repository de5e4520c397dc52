/** What tenants may use, and what they have used. */
import { Type, type Static } from 'typebox';
import { TenantSchema } from './tokens.ts';

/** How much of its tenant's part of the cluster a job gets, against the other jobs of that tenant. */
export const PRIORITIES = { low: 0.25, normal: 1, high: 4 } as const;
export type Priority = keyof typeof PRIORITIES;
export const PrioritySchema = Type.Enum(Object.keys(PRIORITIES) as Priority[], {
  description: 'the part of a job among those of its tenant: low 1/4, normal 1, high 4',
});

const count = (minimum: number, description: string) => Type.Integer({ minimum, description });

export const TenantSettingsSchema = Type.Object(
  {
    weight: Type.Optional(
      Type.Number({
        minimum: 0.01,
        maximum: 100,
        description: 'part of the cluster against other tenants; 1 if unset',
      }),
    ),
    runningJobs: Type.Optional(count(1, 'jobs that run at a time; more of them wait')),
    jobs: Type.Optional(count(0, 'jobs that have not ended; more of them are refused')),
    bytes: Type.Optional(count(0, 'stored blobs; more of them are refused')),
    computeSeconds: Type.Optional(
      count(0, 'of threads, by day in UTC; then jobs are refused, and those that are queued wait for the next day'),
    ),
  },
  { additionalProperties: false, description: 'What an operator has set for a tenant; the service decides the rest' },
);
export type TenantSettings = Static<typeof TenantSettingsSchema>;

const limited = (what: string) => ({
  used: Type.Number({ minimum: 0, description: what }),
  limit: Type.Optional(Type.Number({ minimum: 0, description: 'none: unlimited' })),
});

export const UsageSchema = Type.Object(
  {
    tenant: TenantSchema,
    weight: Type.Number({ minimum: 0 }),
    jobs: Type.Object(limited('jobs that have not ended')),
    runningJobs: Type.Object(limited('jobs that run')),
    bytes: Type.Object(limited('stored blobs, exact after each run of the collector')),
    computeSeconds: Type.Object({
      ...limited('of threads, on this day'),
      day: Type.String({ format: 'date', description: 'in UTC' }),
    }),
  },
  { description: 'What a tenant uses, and how much of it it may' },
);
export type Usage = Static<typeof UsageSchema>;
