/** Whether a service takes work: not while its host, or what all stand on, cannot do it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Gauge, type Registry } from 'prom-client';
import { backoffMs, faultOf, messageOf, type Fault } from '@blindfit/base';
import type { Logger } from './logger.ts';
import type { Readiness } from './readiness.ts';

/** The condition of `/readyz` by which an intake says that it is stopped. */
const CONDITION = 'work';
/**
 * Milliseconds until work is tried again; they double from the first to the longest with every trial that fails.
 * Until then, and as long as something else is amiss, nothing is taken.
 */
const WAITS_MS = { first: 1_000, longest: 60_000 };
/** Milliseconds between two looks at the other conditions. */
const LOOK_MS = 1_000;

/** Why work cannot be done here, or anywhere, for now. */
export interface Standstill {
  readonly fault: Exclude<Fault, 'task'>;
  readonly message: string;
}

/** What can be kept from taking work: a worker of BullMQ. */
export interface WorkSource {
  pause(doNotWaitActive: true): Promise<void>;
  resume(): Promise<void>;
}

export interface IntakeOptions {
  readonly readiness: Readiness;
  readonly registry: Registry;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Milliseconds until work is tried again. @default from 1 s to 60 s */
  readonly waitsMs?: typeof WAITS_MS | undefined;
}

/**
 * Stops all sources of work at the first failure that is no task's fault, turns the service unready, and tries again
 * after a while when all other conditions of `/readyz` hold. Only work that succeeds resets that while.
 */
export class Intake {
  readonly #readiness: Readiness;
  readonly #logger: Pick<Logger, 'info' | 'warn'>;
  readonly #condition;
  readonly #waitsMs;
  readonly #sources = new Set<WorkSource>();
  readonly #closing = new AbortController();
  #standstill: Standstill | undefined;
  #failures = 0;

  constructor({ readiness, registry, logger, waitsMs = WAITS_MS }: IntakeOptions) {
    this.#readiness = readiness;
    this.#logger = logger;
    this.#waitsMs = waitsMs;
    this.#condition = readiness.condition(CONDITION);
    const current = (): Standstill | undefined => this.#standstill;
    new Gauge({
      name: 'blindfit_intake_stopped',
      help: 'Whether this process takes no work, by the fault: of its host, or of what all stand on.',
      labelNames: ['fault'],
      registers: [registry],
      collect() {
        for (const fault of ['host', 'world']) this.set({ fault }, current()?.fault === fault ? 1 : 0);
      },
    });
  }

  /** Fires when the service stops: what waits for better times waits no longer. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  get isOpen(): boolean {
    return this.#standstill === undefined;
  }

  /** Adds a source, which is stopped with the others. */
  add(source: WorkSource): void {
    this.#sources.add(source);
    if (!this.isOpen) void source.pause(true);
  }

  /** Takes no more work until it can be done again. Safe to repeat. */
  stop(standstill: Standstill): void {
    if (this.#standstill !== undefined || this.#closing.signal.aborted) return;
    this.#standstill = standstill;
    const { fault, message } = standstill;
    this.#condition.fail(`takes no work: ${message}`);
    this.#logger.warn({ fault, reason: message }, 'no more work is taken until it can be done again');
    for (const source of this.#sources) void source.pause(true);
    void this.#look();
  }

  /**
   * Takes no more work if an error is no task's fault.
   * @returns whether it is not
   */
  stopFor(error: unknown): boolean {
    const fault = faultOf(error);
    if (fault === 'task') return false;
    this.stop({ fault, message: messageOf(error) });
    return true;
  }

  /** Tells that work was done. */
  succeeded(): void {
    if (this.isOpen) this.#failures = 0;
  }

  close(): void {
    this.#closing.abort();
  }

  async #look(): Promise<void> {
    const started = Date.now();
    const { signal } = this.#closing;
    try {
      await sleep(backoffMs(++this.#failures, this.#waitsMs.first, this.#waitsMs.longest), undefined, { signal });
      while (!(await this.#othersHold())) await sleep(Math.min(LOOK_MS, this.#waitsMs.longest), undefined, { signal });
    } catch {
      return;
    }
    this.#standstill = undefined;
    this.#condition.clear();
    this.#logger.info({ seconds: (Date.now() - started) / 1000 }, 'work is taken again');
    for (const source of this.#sources) void source.resume();
  }

  async #othersHold(): Promise<boolean> {
    const outcomes = await this.#readiness.outcomes().catch((error: unknown) => ({ readiness: messageOf(error) }));
    return Object.entries(outcomes).every(([name, outcome]) => name === CONDITION || outcome === 'ok');
  }
}
