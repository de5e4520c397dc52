/** Spans of requests: those that a job's trace begins with, or that its owner wants in a trace of theirs. */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { formatTraceparent, type Tracing } from '@blindfit/service';

/** What changes a job is traced; of the many other requests only those that come with a `traceparent`. */
const ALWAYS: ReadonlySet<string> = new Set(['POST /v1/jobs', 'DELETE /v1/jobs/:id', 'POST /v1/jobs/:id/refresh']);

/** Adds spans to the requests of all routes below `/v1` that are added later. Call it on the root instance. */
export function traceRequests(app: FastifyInstance, tracing: Tracing): void {
  if (!tracing.enabled) return;
  const spans = new WeakMap<FastifyRequest, NonNullable<ReturnType<Tracing['begin']>>>();
  const within = (request: FastifyRequest, body: () => void): void => {
    const span = spans.get(request);
    tracing.within(span === undefined ? undefined : formatTraceparent(span.spanContext()), body);
  };
  app.addHook('onRequest', (request, _reply, done) => {
    const {
      method,
      routeOptions: { url: route },
      headers: { traceparent },
    } = request;
    const parent = typeof traceparent === 'string' ? traceparent : undefined;
    if (route?.startsWith('/v1/') === true && (parent !== undefined || ALWAYS.has(`${method} ${route}`))) {
      const span = tracing.begin({
        name: `${method} ${route}`,
        parent,
        root: true,
        kind: 'server',
        attributes: { 'http.request.method': method, 'http.route': route },
      });
      if (span !== undefined) spans.set(request, span);
    }
    within(request, done);
  });
  // Reading the body leaves the context of the first hook.
  app.addHook('preValidation', (request, _reply, done) => within(request, done));
  app.addHook('onResponse', (request, reply, done) => {
    const span = spans.get(request);
    if (span !== undefined) {
      const { statusCode } = reply;
      const job = jobOf(request, reply);
      span.setAttribute('http.response.status_code', statusCode);
      if (job !== undefined) span.setAttribute('blindfit.job.id', job);
      tracing.end(span, statusCode >= 500 ? String(statusCode) : undefined);
    }
    done();
  });
}

/** The job a request is about, if there is such a job: a submission names it in its answer. */
function jobOf(request: FastifyRequest, reply: FastifyReply): string | undefined {
  const { pathname } = new URL(String(reply.getHeader('location') ?? request.url), 'http://api');
  return /^\/v1\/jobs\/(job-[0-9a-z]{12,40})(?:\/|$)/.exec(pathname)?.[1];
}
