/** Who may do what: tokens belong to tenants and carry scopes. */
import { Type, type Static } from 'typebox';

/** What a token allows, and in which order that is listed. */
export const SCOPES = ['submit', 'read', 'cancel', 'blobs', 'metrics', 'operate', 'work'] as const;
export type Scope = (typeof SCOPES)[number];

/** The tenant of jobs and tokens from before there were tenants, and of a cluster with one tenant. */
export const DEFAULT_TENANT = 'default';

export const ScopeSchema = Type.Enum([...SCOPES], {
  description:
    'submit: jobs; read: jobs of the tenant; cancel: jobs of the tenant; blobs: upload and download those of the ' +
    'tenant; metrics: scrape; operate: tokens, queues and jobs of all tenants; work: what workers do',
});

export const TenantSchema = Type.String({
  pattern: '^[a-z0-9][a-z0-9-]{0,62}$',
  description: '1 to 63 lower-case letters, digits and hyphens, not beginning with a hyphen',
});

const timestamp = () => Type.String({ format: 'date-time' });

export const NewTokenSchema = Type.Object(
  {
    tenant: TenantSchema,
    scopes: Type.Array(ScopeSchema, { minItems: 1, uniqueItems: true }),
    expiresAt: Type.Optional(timestamp()),
  },
  { additionalProperties: false, description: 'A token to be made' },
);
export type NewToken = Static<typeof NewTokenSchema>;

export const TokenViewSchema = Type.Object(
  {
    id: Type.String({ pattern: '^[0-9a-f]{16}$' }),
    tenant: TenantSchema,
    scopes: Type.Array(ScopeSchema),
    createdAt: timestamp(),
    expiresAt: Type.Optional(timestamp()),
  },
  { description: 'A token without its secret' },
);
export type TokenView = Static<typeof TokenViewSchema>;

export const MadeTokenSchema = Type.Object(
  { ...TokenViewSchema.properties, token: Type.String({ description: 'what clients send; it is shown only now' }) },
  { description: 'A token that was just made' },
);
export type MadeToken = Static<typeof MadeTokenSchema>;
