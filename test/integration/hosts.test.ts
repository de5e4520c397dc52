/**
 * Several machines: hosts made of network namespaces, each with an address of its own, on a switch in a namespace of
 * its own. Host a: API, Redis and blobs; host b: a scheduler; hosts c and d: a worker each, so that one can be cut off
 * without the other; host o: the owner. A job runs across them, one worker loses its cable for a minute, and the model
 * is the same bit for bit. Nothing of it touches the network of this machine.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { resolveRedisBinary } from '@blindfit/redis-server';
import { temporaryDirectory } from '@blindfit/testkit';

/** Longer than any lock and than workers are remembered. */
const CUT_MS = 60_000;
const MAIN = fileURLToPath(new URL('../../cli/src/main.ts', import.meta.url));
const OWNER = fileURLToPath(new URL('./hosts-owner.ts', import.meta.url));
const TOKEN = 'a-token-between-namespaces';
const HOSTS = { a: '10.77.0.1', b: '10.77.0.2', c: '10.77.0.3', d: '10.77.0.4', o: '10.77.0.5' } as const;
type Host = keyof typeof HOSTS;

const PREFIX = `blindfit-${process.pid}`;
const ip = (...args: string[]): string =>
  execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

/** Why namespaces cannot be made here, or false. */
function noNamespaces(): string | false {
  try {
    ip('netns', 'add', `${PREFIX}-probe`);
  } catch (error) {
    const reason =
      error instanceof Error && 'stderr' in error && String(error.stderr) !== ''
        ? String(error.stderr).trim()
        : String(error);
    return `network namespaces cannot be made here (as root, with iproute2 installed, they can): ${reason}`;
  }
  try {
    ip('netns', 'exec', `${PREFIX}-probe`, 'true');
    ip('-n', `${PREFIX}-probe`, 'link', 'add', 'br0', 'type', 'bridge');
    return false;
  } catch (error) {
    return `network namespaces cannot be used here: ${error instanceof Error ? error.message : String(error)}`;
  } finally {
    ip('netns', 'del', `${PREFIX}-probe`);
  }
}

const SKIP = noNamespaces();

class Network implements Disposable {
  readonly #made: string[] = [];

  constructor() {
    try {
      const hub = this.#make('switch');
      ip('-n', hub, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', hub, 'link', 'set', 'br0', 'up');
      for (const [host, address] of Object.entries(HOSTS)) {
        const name = this.#make(host);
        ip('-n', hub, 'link', 'add', `port-${host}`, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', name);
        ip('-n', hub, 'link', 'set', `port-${host}`, 'master', 'br0');
        ip('-n', hub, 'link', 'set', `port-${host}`, 'up');
        ip('-n', name, 'address', 'add', `${address}/24`, 'dev', 'eth0');
        ip('-n', name, 'link', 'set', 'eth0', 'up');
        ip('-n', name, 'link', 'set', 'lo', 'up');
      }
    } catch (error) {
      this[Symbol.dispose]();
      throw error;
    }
  }

  nameOf(host: Host | 'switch'): string {
    return `${PREFIX}-${host}`;
  }

  /** Pulls the host's cable out of the switch, or puts it back. */
  cable(host: Host, state: 'down' | 'up'): void {
    ip('-n', this.nameOf('switch'), 'link', 'set', `port-${host}`, state);
  }

  [Symbol.dispose](): void {
    // The links go with the namespaces.
    for (let name = this.#made.pop(); name !== undefined; name = this.#made.pop()) ip('netns', 'del', name);
  }

  #make(host: string): string {
    const name = `${PREFIX}-${host}`;
    ip('netns', 'add', name);
    this.#made.push(name);
    return name;
  }
}

class Processes implements AsyncDisposable {
  readonly #network: Network;
  readonly #directory: string;
  readonly #running: ChildProcess[] = [];

  constructor(network: Network, directory: string) {
    this.#network = network;
    this.#directory = directory;
  }

  /** Starts a program on a host. Its errors go to a file. */
  start(host: Host, name: string, command: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#network.nameOf(host), ...command], {
      env: { ...process.env, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    child.stderr.pipe(createWriteStream(this.#log(name)));
    this.#running.push(child);
    return child;
  }

  /**
   * Waits for a line of the program's output, of which `read` makes something.
   * @throws Error with the end of its log when it ends before
   */
  async line<T>(child: ChildProcess, name: string, read: (line: string) => T | undefined): Promise<T> {
    assert.ok(child.stdout !== null);
    const { stdout } = child;
    const found = new Promise<T>((resolve) => {
      createInterface(stdout).on('line', (line) => {
        const value = read(line);
        if (value !== undefined) resolve(value);
      });
    });
    const ended = once(child, 'exit').then(async () => {
      throw new Error(`${name} ended:\n${(await readFile(this.#log(name), 'utf8')).slice(-3_000)}`);
    });
    ended.catch(() => undefined);
    return await Promise.race([found, ended]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exits = this.#running
      .filter((child) => child.exitCode === null && child.signalCode === null)
      .map(async (child) => {
        child.kill('SIGKILL');
        await once(child, 'exit');
      });
    await Promise.all(exits);
  }

  #log(name: string): string {
    return join(this.#directory, `${name}.log`);
  }
}

it(
  "three hosts and the owner's: a worker is cut off for a minute and comes back, and the model is the same",
  { skip: SKIP },
  async (t) => {
    await using directory = await temporaryDirectory();
    using network = new Network();
    await using processes = new Processes(network, directory.path);
    const api = `http://${HOSTS.a}:8080`;
    const data = join(directory.path, 'redis');
    await mkdir(data);
    const redis = processes.start('a', 'redis', [
      await resolveRedisBinary(),
      '--bind',
      HOSTS.a,
      '--port',
      '6379',
      '--requirepass',
      TOKEN,
      '--dir',
      data,
      '--save',
      '',
      '--appendonly',
      'yes',
    ]);
    await processes.line(redis, 'redis', (line) => (line.includes('eady to accept connections') ? true : undefined));

    const service = async (host: Host, command: string, store: string): Promise<void> => {
      const child = processes.start(host, `${command}-${host}`, [process.execPath, MAIN, command, '--ready-json'], {
        BLINDFIT_REDIS_URL: `redis://:${TOKEN}@${HOSTS.a}:6379`,
        BLINDFIT_STORE: store,
        BLINDFIT_TOKEN: TOKEN,
        BLINDFIT_HOST: HOSTS[host],
        BLINDFIT_PORT: '8080',
        BLINDFIT_METRICS_PORT: '9464',
        BLINDFIT_THREADS: '1',
        BLINDFIT_KEY_MEMORY_MB: '2048',
        BLINDFIT_CACHE_DIR: join(directory.path, `cache-${host}`),
      });
      await processes.line(child, `${command}-${host}`, (line) => (line.includes('"ready":true') ? true : undefined));
    };
    await Promise.all([
      service('a', 'api', `file://${directory.path}/blobs`),
      service('b', 'scheduler', api),
      service('c', 'worker', api),
      service('d', 'worker', api),
    ]);

    const owner = processes.start('o', 'owner', [
      process.execPath,
      OWNER,
      api,
      TOKEN,
      `http://${HOSTS.c}:9464`,
      `http://${HOSTS.d}:9464`,
    ]);
    const events = new Map<string, Record<string, unknown>>();
    let cut: Promise<void> | undefined;
    await processes.line(owner, 'owner', (line) => {
      const said = JSON.parse(line) as Record<string, unknown> & { event: string };
      events.set(said.event, said);
      t.diagnostic(`${new Date().toISOString()} ${said.event}`);
      if (said.event === 'running') {
        network.cable('d', 'down');
        cut = sleep(CUT_MS).then(() => network.cable('d', 'up'));
      }
      return said.event === 'back' ? true : undefined;
    });
    assert.ok(cut !== undefined);
    await cut;
    const [before, after, again] = [events.get('undisturbed'), events.get('disturbed'), events.get('back')];
    assert.ok(Array.isArray(before?.['models']) && before['models'].length > 0);
    for (const job of [before, after, again]) {
      assert.equal(job?.['state'], 'succeeded', String(job?.['error']));
      assert.deepEqual(job['models'], before['models']);
    }
    assert.ok(events.has('cut-seen'), 'one worker was missed meanwhile');
    assert.ok(Number(after?.['stalled']) > 0, 'what it was at was taken over by the other');
    assert.ok(Number(again?.['tasks']) > 0, 'and back again it works');
  },
);
