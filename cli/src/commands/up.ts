import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Command } from 'commander';
import { optional, variables } from '@blindfit/service/settings';
import { startStack, type RunningStack } from '@blindfit/stack';
import { addConfigFlags, configOf, givenFlags } from '../config.ts';
import { removeConnection, tokenOf, writeConnection } from '../connection-file.ts';
import { auditLogOf, dataDirOf, defaultDataDir } from '../data-dir.ts';
import { CliError, UsageError } from '../errors.ts';
import { withInterrupt } from '../interrupt.ts';
import { formatPairs } from '../table.ts';

const { default: _, ...auditLog } = variables.auditLog;
const AUDIT_LOG = optional({
  ...auditLog,
  defaultText: '$XDG_STATE_HOME/blindfit/audit.log, or logs/audit.log in --data',
});

const TABLE = {
  redisUrl: optional({ ...variables.redisUrl, description: 'Redis to use instead of a private one' }),
  port: { ...variables.port, default: () => 0, defaultText: 'any free one' },
  threads: { ...variables.threads, description: 'Threads of each worker' },
  token: optional(variables.token),
  auditLog: AUDIT_LOG,
};

/** A service that ends at once, again and again, is not worth the noise. */
const MAX_RESTARTS = 5;
const RESTART_WINDOW_MS = 10 * 60_000;

export function register(program: Command): void {
  const command = program
    .command('up')
    .summary('run everything on this machine')
    .description(
      'Runs a private Redis, the API, schedulers and workers on this machine until Ctrl-C. Jobs and blobs ' +
        'are kept for the next time.',
    )
    .option('--data <dir>', `where jobs, blobs, logs and the token are kept [default: ${defaultDataDir()}]`)
    .option('--workers <n>', 'number of workers', '1')
    .option('--schedulers <n>', 'number of schedulers', '1');
  addConfigFlags(command, TABLE)
    .addHelpText(
      'after',
      `
The bearer token is made at the first start and kept in the data directory; BLINDFIT_TOKEN overrides it. Commands in
another terminal of the same user find the API and the token by themselves.

Examples:
  blindfit up
  blindfit up --port 8080 --threads 8
  blindfit up --data /srv/blindfit --workers 4 --threads 16`,
    )
    .action(async (flags: { data?: string; workers: string; schedulers: string }) => {
      const config = configOf(TABLE, givenFlags(command));
      const [workers, schedulers] = [countOf('--workers', flags.workers), countOf('--schedulers', flags.schedulers)];
      const dataDir = dataDirOf(flags.data);
      const audit = config.auditLog ?? auditLogOf(flags.data);
      if (audit !== 'off') await mkdir(dirname(audit), { recursive: true, mode: 0o700 });
      await withInterrupt(async (signal) => {
        const failure = Promise.withResolvers<never>();
        failure.promise.catch(() => undefined);
        const supervisor = new Supervisor((error) => failure.reject(error));
        const stack = await startStack({
          dataDir,
          threads: config.threads,
          workers,
          schedulers,
          port: config.port,
          token: config.token ?? (await tokenOf(dataDir)),
          redisUrl: config.redisUrl,
          auditLog: audit,
          log: say,
          onExit: (name, reason) => supervisor.exited(name, reason),
          signal,
        });
        supervisor.stack = stack;
        try {
          const { url: server, token, redisUrl, storeUrl } = stack;
          await writeConnection(dataDir, { server, token, pid: process.pid, redisUrl, storeUrl });
          process.stdout.write(`${welcome(stack, audit)}\n`);
          await Promise.race([
            new Promise<void>((end) => signal.addEventListener('abort', () => end(), { once: true })),
            failure.promise,
          ]);
          say('stopping; tasks under way are finished first, a second Ctrl-C ends at once');
        } finally {
          supervisor.stack = undefined;
          await removeConnection(dataDir);
          await stack.stop();
        }
        say('stopped');
      });
    });
}

/** Starts again what ends by itself; jobs go on where they were. */
class Supervisor {
  /** While the stack is up. */
  stack: RunningStack | undefined;
  readonly #giveUp: (error: Error) => void;
  readonly #restarts = new Map<string, number[]>();

  constructor(giveUp: (error: Error) => void) {
    this.#giveUp = giveUp;
  }

  exited(name: string, reason: string): void {
    const restart = this.#restartOf(name);
    const now = Date.now();
    const recent = (this.#restarts.get(name) ?? []).filter((time) => now - time < RESTART_WINDOW_MS);
    if (restart === undefined || recent.length >= MAX_RESTARTS) {
      this.#giveUp(new CliError(reason, 'everything else was stopped; start again with: blindfit up'));
      return;
    }
    this.#restarts.set(name, [...recent, now]);
    say(reason);
    say(`starting ${name} again`);
    restart().then(
      () => say(`${name} is back`),
      (error: unknown) => {
        if (this.stack !== undefined) this.exited(name, error instanceof Error ? error.message : String(error));
      },
    );
  }

  #restartOf(name: string): (() => Promise<void>) | undefined {
    const { stack } = this;
    if (name === 'redis') return stack && (() => stack.restartRedis());
    const service = stack?.processes.find((each) => each.name === name);
    return service && (() => service.restart());
  }
}

function welcome(stack: RunningStack, audit: string): string {
  const others = stack.processes.filter(({ name }) => name !== 'api');
  return `
Blindfit is up.

${formatPairs([
  ['API', `${stack.url} (its documentation: ${stack.url}/docs)`],
  ['data', stack.dataDir],
  ['logs', stack.logDir],
  ['audit log', audit],
  ['evaluator', stack.evaluator],
  ...[`api ${stack.url}`, ...others.map(({ name, url }) => `${name} ${url}`)].map((text, i): [string, string] => [
    i === 0 ? 'Prometheus' : '',
    `${text}/metrics`,
  ]),
])}

Commands of this user find it by themselves. For others:
  export BLINDFIT_SERVER=${stack.url}
  export BLINDFIT_TOKEN=${stack.token}

Ctrl-C stops everything; jobs go on at the next start.
`;
}

function countOf(flag: string, text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < 1 || value > 64)
    throw new UsageError(`${flag}: ${JSON.stringify(text)} is not allowed; allowed: an integer from 1 to 64`);
  return value;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
