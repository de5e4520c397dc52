/** What must hold before a service can do its work: the named conditions of `/readyz`. */
import { messageOf } from '@blindfit/base';

/** Resolves when all is well, rejects with the reason when not. */
export type ReadinessCheck = () => Promise<void>;

/** A condition that a part of the service sets. It holds until `fail` is called. */
export interface Condition {
  /** Why it does not hold; undefined while it does. */
  readonly reason: string | undefined;
  /** The service is unready from now on. @param reason what `/readyz` says, in one sentence */
  fail(reason: string): void;
  /** The condition holds again. */
  clear(): void;
}

/**
 * The list of conditions of one service. Some are asked at every probe (`check`), some are set by the part of the
 * service that knows (`condition`). The service is ready when all of them hold.
 */
export class Readiness {
  readonly #checks = new Map<string, ReadinessCheck>();
  readonly #timeoutMs: number;

  /** @param timeoutMs milliseconds until a check counts as failed. @default 2000 */
  constructor(checks: Readonly<Record<string, ReadinessCheck>> = {}, timeoutMs = 2_000) {
    this.#timeoutMs = timeoutMs;
    for (const [name, check] of Object.entries(checks)) this.check(name, check);
  }

  /** Adds a condition that is asked at every probe, or replaces the one of that name. */
  check(name: string, check: ReadinessCheck): void {
    this.#checks.set(name, check);
  }

  /** Adds a condition that its owner sets, or replaces the one of that name. It holds at first. */
  condition(name: string): Condition {
    let reason: string | undefined;
    this.check(name, () => (reason === undefined ? Promise.resolve() : Promise.reject(new Error(reason))));
    return {
      get reason() {
        return reason;
      },
      fail: (why) => {
        reason = why;
      },
      clear: () => {
        reason = undefined;
      },
    };
  }

  /** All conditions by name, each `ok` or the reason why it does not hold. */
  async outcomes(): Promise<Readonly<Record<string, string>>> {
    const entries = [...this.#checks].map(
      async ([name, check]) => [name, await outcomeOf(check, this.#timeoutMs)] as const,
    );
    return Object.fromEntries(await Promise.all(entries));
  }
}

/** `ok` or the reason. A check that hangs, as commands to an absent Redis do, must not hang the probe. */
async function outcomeOf(check: ReadinessCheck, timeoutMs: number): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${timeoutMs} ms`), timeoutMs);
  });
  // Through an async function, so that a check that throws before it returns a promise is caught as well.
  const outcome = (async () => {
    await check();
    return 'ok';
  })().catch(messageOf);
  try {
    return await Promise.race([outcome, late]);
  } finally {
    clearTimeout(timer);
  }
}
