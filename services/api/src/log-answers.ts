import type { FastifyInstance } from 'fastify';
import { pathOf, REASONS } from './problems.ts';
import { RefusalSample } from './refusals.ts';

/** Logs one line an answer; of those that strangers get only a sample, so that nobody can fill a disk with them. */
export function logAnswers(app: FastifyInstance): void {
  const sample = new RefusalSample();
  app.addHook('onResponse', (request, reply, done) => {
    const facts = {
      method: request.method,
      url: pathOf(request.url),
      status: reply.statusCode,
      milliseconds: Math.round(reply.elapsedTime),
      ...REASONS.get(request),
    };
    if (request.principal !== undefined && request.refusal === undefined) {
      request.log.info(facts, 'answered');
    } else {
      const omitted = sample.admit(request.ip);
      if (omitted === undefined) request.log.debug(facts, 'answered');
      else request.log.info({ ...facts, omitted }, 'answered');
    }
    done();
  });
}
