/**
 * From docs/operations/deploy.md alone one can deploy: its commands are run one after the other, as far as they need
 * neither a container engine nor a cluster, against a real Redis and the services that the page itself starts. The
 * others are checked.
 */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { it } from 'node:test';
import { promisify } from 'node:util';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { at } from '@blindfit/base';
import { startRedis } from '@blindfit/redis-server';
import { firstGroups } from '@blindfit/testkit';
import { callProblems, commandsOfGuide, type Deployment } from './guide.ts';
import { findKubectl } from './kubectl.ts';
import { OVERLAYS, parseYaml, read, ROOT, SECRET_FILES } from './support.ts';

const run = promisify(execFile);
const kubectl = await findKubectl();

/** Rows `label,f1,...`: three classes that differ in three features. */
function csv(rows: number, seed: number): string {
  let state = seed;
  const random = (): number => (state = (Math.imul(state, 1664525) + 1013904223) >>> 0) / 2 ** 32;
  return Array.from(
    { length: rows },
    (_, i) =>
      [
        ['cat', 'dog', 'owl'][i % 3],
        ...Array.from({ length: 16 }, (__, j) => (random() + (j % 3 === i % 3 ? 0.6 : 0)).toFixed(4)),
      ].join(',') + '\n',
  ).join('');
}

async function freePort(): Promise<string> {
  const server = createServer();
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const { port } = server.address() as AddressInfo;
  await new Promise((done) => server.close(done));
  return String(port);
}

async function deploymentOf(): Promise<Deployment> {
  const [compose] = parseYaml((await read('deploy/compose.yaml')).replace(/\$\{[^}]*\}/g, 'x')) as {
    services: Record<string, { profiles?: string[] }>;
  }[];
  const services = compose?.services ?? {};
  const images = await Promise.all(
    OVERLAYS.map(async (overlay) => {
      const [kustomization] = parseYaml(await read(`deploy/kubernetes/overlays/${overlay}/kustomization.yaml`)) as {
        images: { newName: string; newTag: string }[];
      }[];
      return (kustomization?.images ?? []).map(({ newName, newTag }) => `${newName}:${newTag}`);
    }),
  );
  // Those of ours, and those that the network policies admit.
  const policies = await Promise.all(
    ['autoscaling', 'monitoring'].map((name) => read(`deploy/kubernetes/components/${name}/network-policy.yaml`)),
  );
  const namespaces = firstGroups(policies.join('\n'), /kubernetes\.io\/metadata\.name: (\S+)/g);
  return {
    services: Object.keys(services),
    profiles: Object.values(services).flatMap(({ profiles = [] }) => profiles),
    images: images.flat(),
    namespaces: ['blindfit', ...namespaces],
  };
}

it(
  'every command of docs/operations/deploy.md runs, or is right as far as can be seen without a cluster',
  { timeout: 480_000 },
  async (t) => {
    const deployment = await deploymentOf();
    const directory = await mkdtemp(join(tmpdir(), 'blindfit-guide-'));
    const services: ChildProcess[] = [];
    const redis = await startRedis({ dataDir: join(directory, 'redis'), tcp: true, log: () => undefined });
    const done: string[] = [];
    const checked: string[] = [];
    const outputs = new Map<string, string>();
    try {
      // What is in a clone and is written to; the programs stay where they are.
      const clone = join(directory, 'clone');
      await cp(join(ROOT, 'deploy'), join(clone, 'deploy'), {
        recursive: true,
        filter: (path) => !/node_modules|\.env$|secrets/.test(path),
      });
      await writeFile(join(clone, 'train.csv'), csv(120, 1));
      await writeFile(join(clone, 'test.csv'), csv(30, 2));
      const bin = join(directory, 'bin');
      await mkdir(bin);
      await writeFile(
        join(bin, 'blindfit'),
        `#!/bin/sh\nexec '${process.execPath}' '${join(ROOT, 'cli/src/main.ts')}' "$@"\n`,
        { mode: 0o755 },
      );

      // Addresses of examples, and those they have here.
      const port = await freePort();
      const replacements: readonly (readonly [string, string])[] = [
        ['redis://:PASSWORD@redis.internal:6379', redis.url],
        ['file:///var/lib/blindfit/blobs', `file://${join(directory, 'blobs')}`],
        ['http://api.internal:8080', `http://127.0.0.1:${port}`],
        ['http://127.0.0.1:8080', `http://127.0.0.1:${port}`],
        ['--port 8080', `--port ${port}`],
        ['--host 0.0.0.0', '--host 127.0.0.1'],
        ['--metrics-port 9465', `--metrics-port ${await freePort()}`],
        ['--metrics-port 9464', `--metrics-port ${await freePort()}`],
        ['--threads 16', '--threads 2'],
      ];
      const here = (command: string): string =>
        replacements.reduce((text, [from, to]) => text.replaceAll(from, to), command);
      const env: NodeJS.ProcessEnv = {
        PATH: `${bin}:${process.env['PATH'] ?? ''}`,
        HOME: directory,
        // Where the speed of this machine is remembered.
        XDG_CACHE_HOME: process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'),
        BLINDFIT_CACHE_DIR: join(directory, 'cache'),
        AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE',
        AWS_SECRET_ACCESS_KEY: 'example',
      };
      const shell = async (command: string): Promise<string> => {
        const { stdout } = await run('sh', ['-e', '-c', `umask 022\n${command}`], {
          cwd: clone,
          env,
          maxBuffer: 64 << 20,
          timeout: 240_000,
        });
        return stdout;
      };
      const start = async (command: string): Promise<void> => {
        const child = spawn('sh', ['-c', `exec ${command}`], { cwd: clone, env, stdio: ['ignore', 'ignore', 'pipe'] });
        services.push(child);
        let log = '';
        child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()));
        const own = at(firstGroups(command, /--(?:metrics-)?port (\d+)/g), 0, command);
        const deadline = Date.now() + 60_000;
        while (
          (await fetch(`http://127.0.0.1:${own}/readyz`).then(
            ({ status }) => status,
            () => 0,
          )) !== 200
        ) {
          assert.ok(child.exitCode === null && Date.now() < deadline, `${command}: ${log.slice(-2000)}`);
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      };

      for (const command of await commandsOfGuide()) {
        const [program = '', subcommand = ''] = command.split(' ');
        if (/^blindfit (api|scheduler|worker) /.test(command)) {
          await start(here(command));
          done.push(command);
        } else if (program === 'export' && !command.includes('kubectl')) {
          const [, name = '', value = ''] = /^export ([A-Z_]+)=(.*)$/.exec(here(command)) ?? [];
          env[name] =
            value === 'THE-TOKEN'
              ? at(
                  firstGroups(await readFile(join(clone, 'deploy/.env'), 'utf8'), /^BLINDFIT_TOKEN=(.*)$/gm),
                  0,
                  'tokens',
                )
              : value;
          done.push(command);
        } else if (['blindfit', 'install', 'openssl', 'chmod', 'printf'].includes(program)) {
          outputs.set(command, await shell(command));
          done.push(command);
        } else if (program === 'kubectl' && subcommand === 'kustomize') {
          if ('path' in kubectl) {
            outputs.set(command, await shell(command.replace('kubectl', `'${kubectl.path}'`)));
            done.push(command);
          } else checked.push(command);
        } else {
          const calls =
            program === 'export'
              ? [at(firstGroups(command, /\$\(([^|]*).*\)$/g), 0, command).trim()]
              : command.split(' | ');
          for (const call of calls)
            assert.deepEqual(
              await callProblems(call, deployment, 'path' in kubectl ? kubectl.path : undefined),
              [],
              call,
            );
          // The last part of a pipe is what speaks to the cluster.
          if (calls.length > 1 && 'path' in kubectl)
            outputs.set(
              command,
              await shell(calls.slice(0, -1).join(' | ').replaceAll('kubectl', `'${kubectl.path}'`)),
            );
          checked.push(command);
        }
      }
      t.diagnostic(`run: ${done.length}`);
      for (const command of done) t.diagnostic(`  ${command}`);
      t.diagnostic(
        `only checked${'reason' in kubectl ? ` (without kubectl: ${kubectl.reason})` : ''}: ${checked.length}`,
      );
      for (const command of checked) t.diagnostic(`  ${command}`);

      const output = (start: string): string =>
        at(Array.from(outputs).find(([command]) => command.startsWith(start)) ?? [], 1, start);
      assert.match(output('blindfit plan'), /^ +64 +[0-9]/m, 'the plan says what 64 vCPUs do');
      assert.match(output('blindfit jobs'), /succeeded/, 'the job is finished');
      const model = JSON.parse(await readFile(join(clone, 'model.json'), 'utf8')) as { classes: string[] };
      assert.deepEqual(model.classes, ['cat', 'dog', 'owl']);
      assert.match(output('blindfit predict'), /cat|dog|owl/);

      const settings = new Map(
        (await readFile(join(clone, 'deploy/.env'), 'utf8'))
          .trim()
          .split('\n')
          .map((line) => line.split(/=(.*)/s, 2) as [string, string]),
      );
      const required = new Set(firstGroups(await read('deploy/compose.yaml'), /\$\{([A-Z_]+):\?/g));
      for (const name of required)
        assert.match(String(settings.get(name)), /^[0-9a-f]{32,}$/, `${name} in deploy/.env`);
      assert.equal((await stat(join(clone, 'deploy/.env'))).mode & 0o777, 0o600);
      assert.equal((await stat(join(clone, 'deploy/secrets'))).mode & 0o777, 0o700);
      for (const overlay of OVERLAYS) {
        for (const [name, keys] of Object.entries(SECRET_FILES[overlay])) {
          const lines = (await readFile(join(clone, 'deploy/kubernetes/overlays', overlay, name), 'utf8'))
            .trim()
            .split('\n');
          assert.deepEqual(
            lines.map((line) => line.split('=')[0]),
            keys,
          );
        }
        if ('path' in kubectl)
          assert.match(output(`kubectl kustomize deploy/kubernetes/overlays/${overlay}`), /^kind: Deployment$/m);
      }
      if ('path' in kubectl) assert.match(output('kubectl create configmap'), /grafana_dashboard: "1"/);

      const ignored = [
        'deploy/.env',
        'deploy/secrets/metrics-token',
        ...OVERLAYS.flatMap((overlay) =>
          Object.keys(SECRET_FILES[overlay]).map((name) => `deploy/kubernetes/overlays/${overlay}/${name}`),
        ),
      ];
      if (existsSync(join(ROOT, '.git')))
        assert.deepEqual(
          (await run('git', ['-C', ROOT, 'check-ignore', ...ignored])).stdout.trim().split('\n'),
          ignored,
          'git ignores every secret',
        );
    } finally {
      for (const child of services) child.kill('SIGTERM');
      for (const child of services) if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
      await redis.stop();
      await rm(directory, { recursive: true, force: true });
    }
  },
);

it('the ingress is valid, and leads to the API', async () => {
  const manifests = parseYaml(await read('deploy/kubernetes/components/ingress/ingress.yaml')) as {
    kind: string;
    spec: { rules: { http: { paths: { backend: { service: { name: string; port: { name: string } } } }[] } }[] };
  }[];
  assert.deepEqual(
    manifests.map(({ kind }) => kind),
    ['Ingress'],
  );
  for (const manifest of manifests) {
    new Ingress(manifest as never).validate();
    const { service } = manifest.spec.rules[0]?.http.paths[0]?.backend ?? {};
    const services = (
      parseYaml(await read('deploy/kubernetes/base/api.yaml')) as {
        kind: string;
        metadata: { name: string };
        spec: { ports?: { name: string }[] };
      }[]
    ).filter(({ kind }) => kind === 'Service');
    assert.deepEqual(
      services.map(({ metadata, spec }) => [metadata.name, spec.ports?.[0]?.name]),
      [[service?.name, service?.port.name]],
    );
  }
});

it('calls that are wrong are seen', async () => {
  const deployment = await deploymentOf();
  const problems = async (command: string): Promise<string[]> =>
    callProblems(command, deployment, 'path' in kubectl ? kubectl.path : undefined);
  assert.deepEqual(await problems('docker compose --file deploy/compose.yml up --detach'), [
    'there is no deploy/compose.yml',
  ]);
  assert.deepEqual(await problems('docker compose --file deploy/compose.yaml up --scale workers=4'), [
    'compose.yaml has no service workers=4',
  ]);
  assert.deepEqual(await problems('helm upgrade x'), ['no such command is known']);
  assert.deepEqual(await problems('kubectl --namespace blindfold apply --kustomize deploy/kubernetes/overlays/small'), [
    'no manifest knows the namespace blindfold',
  ]);
  if ('path' in kubectl)
    assert.deepEqual(await problems('kubectl apply --kustomise deploy'), ['kubectl apply has no flag --kustomise']);
});
