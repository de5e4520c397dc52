/** A real Prometheus for a test, and its HTTP API. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** One series of an answer. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface RuleState {
  readonly name: string;
  readonly query: string;
  readonly type: 'alerting' | 'recording';
  readonly health: 'ok' | 'err' | 'unknown';
  readonly lastError?: string;
  /** Of an alert. */
  readonly state?: 'inactive' | 'pending' | 'firing';
}

export interface TargetState {
  readonly labels: Readonly<Record<string, string>>;
  readonly scrapeUrl: string;
  readonly health: 'up' | 'down' | 'unknown';
  readonly lastError: string;
  /** Seconds. */
  readonly lastScrapeDuration: number;
}

export interface Prometheus extends AsyncDisposable {
  readonly url: string;
  /**
   * An instant query.
   * @param at seconds since the epoch
   * @default now
   * @throws Error with what Prometheus says of a bad one
   */
  query(expr: string, at?: number): Promise<Sample[]>;
  rules(): Promise<RuleState[]>;
  targets(): Promise<TargetState[]>;
  /** The end of what it printed: warnings and errors. */
  log(): string;
}

/**
 * @param program path of `prometheus`
 * @param directory an empty one, for its data
 * @param config path of its configuration
 * @throws Error with what it printed when it does not get ready
 */
export async function startPrometheus(program: string, directory: string, config: string): Promise<Prometheus> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    program,
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(directory, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { cwd: directory, stdio: ['ignore', 'pipe', 'pipe'] },
  );
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4_000)));
  const ended = once(child, 'exit');
  ended.catch(() => undefined);
  const stop = async (): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
    await ended;
  };

  const deadline = Date.now() + 60_000;
  while (
    !(await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || Date.now() > deadline) {
      child.kill('SIGKILL');
      throw new Error(`Prometheus does not get ready:\n${said}`);
    }
    await sleep(100);
  }

  const ask = async (path: string, body?: URLSearchParams): Promise<unknown> => {
    const response = await fetch(`${url}/api/v1/${path}`, body === undefined ? {} : { method: 'POST', body });
    const answer = (await response.json()) as { status: string; error?: string; data?: unknown };
    if (answer.status !== 'success') throw new Error(answer.error ?? `${path} was answered with ${response.status}`);
    return answer.data;
  };
  return {
    url,
    query: async (expr, at) => {
      const data = (await ask(
        'query',
        new URLSearchParams(at === undefined ? { query: expr } : { query: expr, time: String(at) }),
      )) as { resultType: string; result: unknown };
      if (data.resultType === 'scalar') return [{ labels: {}, value: Number((data.result as [number, string])[1]) }];
      return (data.result as { metric: Record<string, string>; value: [number, string] }[]).map(
        ({ metric, value }) => ({ labels: metric, value: Number(value[1].replace('Inf', 'Infinity')) }),
      );
    },
    rules: async () =>
      ((await ask('rules')) as { groups: { rules: RuleState[] }[] }).groups.flatMap(({ rules }) => rules),
    targets: async () => ((await ask('targets?state=active')) as { activeTargets: TargetState[] }).activeTargets,
    log: () => said,
    [Symbol.asyncDispose]: stop,
  };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((done, failed) => {
    server.once('error', failed);
    server.listen(0, '127.0.0.1', done);
  });
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return port;
}
