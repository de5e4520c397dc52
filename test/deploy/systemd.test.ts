/** The units for plain processes: what they start exists, stops when systemd says so, and has settings that exist. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { api } from '@blindfit/api/service';
import { at, required, valueOf } from '@blindfit/base';
import { scheduler } from '@blindfit/scheduler/service';
import { readConfig, type ServiceDefinition } from '@blindfit/service/settings';
import { temporaryDirectory, withoutSettings } from '@blindfit/testkit';
import { worker } from '@blindfit/worker/service';

const ROOT = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
const DIRECTORY = join(ROOT, 'deploy/systemd');
const SERVICES: Readonly<Record<string, ServiceDefinition>> = { api, scheduler, worker };

const UNITS = readdirSync(DIRECTORY).filter((name) => name.endsWith('.service'));

/** The values of every field, in order; an instance is called 9464. */
function fieldsOf(unit: string): (name: string) => string[] {
  const lines = readFileSync(join(DIRECTORY, unit), 'utf8').replaceAll('%i', '9464').split('\n');
  return (name) => lines.filter((line) => line.startsWith(`${name}=`)).map((line) => line.slice(name.length + 1));
}

function pairs(lines: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    lines
      .filter((line) => /^[A-Z]/.test(line))
      .map((line) => [line.split('=', 1)[0], line.slice(line.indexOf('=') + 1)]),
  ) as Record<string, string>;
}

/** What the process finds in its environment, with the shipped examples in place of the files in /etc. */
function environmentOf(unit: string): Record<string, string> {
  const fields = fieldsOf(unit);
  const files = fields('EnvironmentFile').map((path) => path.replace('/etc/blindfit', DIRECTORY));
  return { ...pairs(files.flatMap((path) => readFileSync(path, 'utf8').split('\n'))), ...pairs(fields('Environment')) };
}

const commandOf = (unit: string): string[] =>
  at(fieldsOf(unit)('ExecStart'), 0, 'commands').replaceAll('/opt/blindfit', ROOT).split(' ');

it('each service has a unit', () => {
  assert.deepEqual(
    UNITS.map((unit) => commandOf(unit).at(-1)),
    ['api', 'scheduler', 'worker'],
  );
});

for (const unit of UNITS) {
  describe(unit, () => {
    const fields = fieldsOf(unit);
    const one = (name: string): string => at(fields(name), 0, name);
    const environment = environmentOf(unit);
    const service = valueOf(
      new Map(Object.entries(SERVICES)),
      required(commandOf(unit).at(-1), 'a command'),
      'services',
    );

    it('has settings that the service takes, and no others', () => {
      readConfig(service.table, environment);
      const known = new Set(Object.values(service.table).map(({ env }) => env));
      const ours = Object.keys(environment).filter((name) => name.startsWith('BLINDFIT_'));
      assert.deepEqual(
        ours.filter((name) => !known.has(name) && name !== 'BLINDFIT_HOST'),
        [],
      );
    });

    it('gives the service the time that it takes, and starts it again unless its settings are wrong', () => {
      assert.ok(Number(one('TimeoutStopSec')) >= Number(environment['BLINDFIT_STOP_SECONDS']) + 10);
      assert.deepEqual(['KillMode', 'Restart', 'RestartPreventExitStatus', 'StartLimitIntervalSec'].map(one), [
        'mixed',
        'always',
        '2',
        '0',
      ]);
      assert.ok(Number(one('LimitNOFILE')) >= 65_536);
    });

    it('keeps the service from what it need not do', () => {
      assert.equal(one('CapabilityBoundingSet'), '');
      assert.equal(one('ProtectSystem'), 'strict');
      for (const name of ['NoNewPrivileges', 'ProtectHome', 'PrivateTmp', 'PrivateDevices', 'RestrictNamespaces'])
        assert.equal(one(name), 'yes', name);
      assert.notEqual(one('User'), 'root');
      assert.equal(fields('MemoryDenyWriteExecute').length, 0, 'JavaScript is compiled while it runs');
    });

    it('starts a process that waits for Redis and ends at SIGTERM', { timeout: 60_000 }, async (t) => {
      const [program = '', ...args] = commandOf(unit);
      const home = await temporaryDirectory(t);
      const env = {
        ...withoutSettings(process.env),
        ...environment,
        XDG_CACHE_HOME: home,
        BLINDFIT_HOST: '127.0.0.1',
        BLINDFIT_PORT: '0',
        BLINDFIT_METRICS_PORT: '0',
        BLINDFIT_REDIS_URL: `unix://${home}/none.sock`,
      };
      const child = spawn(program, args, { env, stdio: ['ignore', 'ignore', 'pipe'] });
      t.after(() => child.kill('SIGKILL'));
      const ended = new Promise<number | null>((resolve) => void child.once('exit', resolve));
      let log = '';
      for await (const chunk of child.stderr as AsyncIterable<Buffer>) {
        log += chunk.toString();
        if (log.includes('Redis is away; trying again')) break;
      }
      child.kill('SIGTERM');
      assert.equal(await ended, 0, log);
    });
  });
}

it('systemd accepts them, where there is one', (t) => {
  const { status, stderr, error } = spawnSync(
    'systemd-analyze',
    ['verify', ...UNITS.map((unit) => join(DIRECTORY, unit))],
    {
      encoding: 'utf8',
    },
  );
  if (error !== undefined) return t.skip('there is no systemd-analyze');
  // The program lies elsewhere here, and there is no such user.
  const others = stderr
    .split('\n')
    .filter((line) => line.includes(DIRECTORY) && !/not executable|Failed to/.test(line));
  assert.deepEqual([others, status === 0 || stderr !== ''], [[], true]);
});
