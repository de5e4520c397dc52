/** Answers that go on for long end soon after their token was revoked or has expired. */
import type { FastifyReply, FastifyRequest } from 'fastify';

/** How soon. Milliseconds. */
const CHECK_MS = 5_000;

interface Watched {
  /** What to abort. */
  readonly answers: Set<AbortController>;
  readonly request: FastifyRequest;
}

export class TokenWatch {
  /** By the credentials of requests, so that many streams of one token cost one look. */
  readonly #watched = new Map<string, Watched>();
  readonly #timer: NodeJS.Timeout;
  #looking = false;

  constructor(intervalMs = CHECK_MS) {
    this.#timer = setInterval(() => void this.#look(), intervalMs).unref();
  }

  /**
   * Watches the token of a request until its answer ends.
   * @returns a signal that is aborted when the token opens the route no longer
   */
  watch(request: FastifyRequest, reply: FastifyReply): AbortSignal {
    const { authorization = '', 'blindfit-scope': scope } = request.headers;
    const key = JSON.stringify([authorization, scope, request.routeOptions.url]);
    const watched = this.#watched.get(key) ?? { answers: new Set(), request };
    this.#watched.set(key, watched);
    const answer = new AbortController();
    watched.answers.add(answer);
    reply.raw.once('close', () => {
      watched.answers.delete(answer);
      if (watched.answers.size === 0) this.#watched.delete(key);
    });
    return answer.signal;
  }

  close(): void {
    clearInterval(this.#timer);
  }

  async #look(): Promise<void> {
    if (this.#looking) return;
    this.#looking = true;
    try {
      for (const { answers, request } of [...this.#watched.values()])
        if (!(await request.mayGoOn())) for (const answer of [...answers]) answer.abort();
    } finally {
      this.#looking = false;
    }
  }
}
