/** The operators' page: BullMQ's queues by bull-board, to look at only. */
import { createBullBoard } from '@bull-board/api';
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter';
import { FastifyAdapter } from '@bull-board/fastify';
import type { Queue } from 'bullmq';
import type { FastifyPluginAsync } from 'fastify';
import { shortened, titleOf, type BoardEntry } from './board-format.ts';
import { ApiError, handleError } from './problems.ts';

export interface QueueBoardOptions {
  /** Path of the page. */
  readonly prefix: string;
  readonly queues: Readonly<Record<'jobs' | 'chains' | 'tasks', Queue>>;
}

const DESCRIPTIONS = {
  jobs: 'Beginnings and ends of jobs; schedulers',
  chains: 'One entry for each chain of pairs of classes and segment between refreshes; schedulers',
  tasks: 'What workers compute on ciphertexts',
} as const;

/**
 * Everything from here; styles are set by scripts, and a page of ours within another one would be a trap for clicks.
 */
const HEADERS = {
  'content-security-policy':
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; " +
    "font-src 'self'; connect-src 'self'; base-uri 'self'; form-action 'none'; frame-ancestors 'none'",
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cache-control': 'no-store',
} as const;

const FONTS = { 'font-sans': 'system-ui, sans-serif', 'font-mono': 'ui-monospace, monospace' };

/** Adds the page below `prefix`; who asks was authorised before. */
export const queueBoard: FastifyPluginAsync<QueueBoardOptions> = async (app, { prefix, queues }) => {
  app.addHook('onRequest', (request, reply, done) => {
    void reply.headers(HEADERS);
    if (request.method === 'GET' || request.method === 'HEAD') {
      done();
      return;
    }
    // The queues are read-only to bull-board, too; this holds whatever else it learns to do.
    void handleError(
      new ApiError(
        405,
        'READ_ONLY',
        'Only to look at',
        `${request.method} would change a queue, which the operators' page does not do`,
        'jobs are cancelled with DELETE /v1/jobs/JOB',
      ),
      request,
      reply.header('allow', 'GET, HEAD'),
    );
  });
  // It works without the fonts that its page would fetch from elsewhere.
  app.addHook('onSend', (_request, reply, payload, done) => {
    const isPage = typeof payload === 'string' && String(reply.getHeader('content-type')).startsWith('text/html');
    done(null, isPage ? payload.replace(/\s*<link href="https:\/\/fonts\.[^>]*>/g, '') : payload);
  });

  const adapter = new FastifyAdapter();
  adapter.setBasePath(prefix);
  createBullBoard({
    queues: (['jobs', 'chains', 'tasks'] as const).map((name) => {
      const queue = new BullMQAdapter(queues[name], {
        readOnlyMode: true,
        allowRetries: false,
        description: DESCRIPTIONS[name],
      });
      queue.setFormatter('name', (entry: BoardEntry) => titleOf(entry));
      queue.setFormatter('data', shortened);
      queue.setFormatter('returnValue', shortened);
      return queue;
    }),
    serverAdapter: adapter,
    options: {
      uiConfig: {
        boardTitle: 'Blindfit queues',
        hideDocsLink: true,
        locale: { lng: 'en-GB' },
        pollingInterval: { showSetting: true },
        theme: { light: FONTS, dark: FONTS },
      },
    },
  });
  await app.register(adapter.registerPlugin());
};
