/** The audit log: who did what, when, from where, and with what outcome. One line of JSON an action, no secrets. */
import { basename, dirname } from 'node:path';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { createStream } from 'rotating-file-stream';
import { RefusalSample } from './refusals.ts';

/** What routes do, as the log names it. Reading is not logged, and uploads are named by the jobs that use them. */
const ACTIONS: Readonly<Record<string, string>> = {
  'POST /v1/jobs': 'job.submit',
  'DELETE /v1/jobs/:id': 'job.cancel',
  'POST /v1/jobs/:id/refresh': 'job.refresh',
  'POST /v1/tokens': 'token.create',
  'DELETE /v1/tokens/:id': 'token.revoke',
  'PUT /v1/tenants/:tenant': 'tenant.set',
  'PUT /v1/maintenance': 'maintenance.set',
};

/** A file is closed at this size; so many closed ones are kept beside it. */
const MAX_FILE = '16M';
const MAX_FILES = 10;

export interface AuditEntry {
  readonly time: string;
  readonly action: string;
  /** Id of the token, `root`, or `oidc:` and the subject of the identity provider; none of a refused stranger. */
  readonly principal?: string | undefined;
  readonly tenant?: string | undefined;
  readonly address: string;
  /** Job or token. */
  readonly subject?: string | undefined;
  /** HTTP status. */
  readonly status: number;
  /** Why an authentication failed. */
  readonly code?: string | undefined;
  /** Failed authentications since the last such line that have none of their own. */
  readonly omitted?: number | undefined;
}

export interface AuditLog {
  write(entry: AuditEntry): void;
  close(): Promise<void>;
}

/** Appends to a file that only this user can read, and rotates it: `audit.log`, `audit.log.1`, ... */
export function openAuditLog(path: string, onError: (error: Error) => void, maxFile = MAX_FILE): AuditLog {
  const name = basename(path);
  // With `rotate` the names have numbers, and the file that is written has none.
  const stream = createStream((number) => (typeof number === 'number' ? `${name}.${number}` : name), {
    path: dirname(path),
    size: maxFile,
    rotate: MAX_FILES,
    mode: 0o600,
  });
  stream.on('error', onError);
  stream.on('warning', onError);
  return {
    write: (entry) => void stream.write(`${JSON.stringify(entry)}\n`),
    close: () => new Promise((resolve) => stream.end(resolve)),
  };
}

/** Logs every action of a principal, also a refused one, and a sample of failed authentications. */
export function auditRequests(app: FastifyInstance, log: AuditLog): void {
  const sample = new RefusalSample();
  app.addHook('onResponse', (request, reply, done) => {
    if (request.refusal !== undefined) {
      const omitted = sample.admit(request.ip);
      if (omitted !== undefined)
        log.write({
          time: new Date().toISOString(),
          action: 'auth.refuse',
          address: request.ip,
          // The route, not what was sent: people put tokens into addresses.
          subject: `${request.method} ${request.routeOptions.url ?? '(no route)'}`,
          status: reply.statusCode,
          code: request.refusal,
          omitted,
        });
    }
    const action = ACTIONS[`${request.method} ${request.routeOptions.url}`];
    const { principal } = request;
    if (action !== undefined && principal !== undefined)
      log.write({
        time: new Date().toISOString(),
        action,
        principal: principal.name,
        tenant: principal.tenant,
        address: request.ip,
        subject: subjectOf(request, reply),
        status: reply.statusCode,
      });
    done();
  });
}

function subjectOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const { tenant, id = tenant } = request.params as { readonly id?: string; readonly tenant?: string };
  // A submission and a new token name their subject in the answer.
  if (id !== undefined) return id.slice(0, 100);
  const location = reply.getHeader('location');
  return typeof location === 'string' ? /\/([^/]+)$/.exec(location)?.[1] : undefined;
}
