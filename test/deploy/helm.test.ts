/** The chart, rendered by a real helm: object for object what kustomize renders for the overlays and components. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { promisify } from 'node:util';
import { Ajv } from 'ajv';
import { findHelm, findKubectl } from './kubectl.ts';
import { schemaProblems } from './manifest-schemas.ts';
import type { Manifest } from './manifests.ts';
import { parseYaml, read, render, ROOT, type Overlay } from './support.ts';

const run = promisify(execFile);
const [kubectl, helm] = await Promise.all([findKubectl(), findHelm()]);
const CHART = join(ROOT, 'deploy/helm');
const PRODUCTION = ['--values', join(CHART, 'values-production.yaml')];

const set = (...values: string[]): string[] => values.flatMap((value) => ['--set', value]);

interface Case {
  readonly overlay: Overlay;
  readonly components: readonly string[];
  readonly args: readonly string[];
}

const CASES: readonly Case[] = [
  { overlay: 'small', components: [], args: [] },
  { overlay: 'production', components: [], args: PRODUCTION },
  {
    overlay: 'small',
    components: ['tls', 'ingress', 'tracing', 'dns-openshift'],
    args: set('tls.enabled=true', 'ingress.enabled=true', 'tracing.enabled=true', 'dns=openshift'),
  },
  {
    overlay: 'production',
    components: ['managed-redis', 'managed-redis/cluster', 's3-identity', 's3-private', 'dns-node-local'],
    args: [
      ...PRODUCTION,
      ...set('redis.mode=external', 'redis.external.type=redis-cluster', 'dns=node-local'),
      ...set('store.s3.roleArn=arn:aws:iam::123456789012:role/blindfit', 'store.s3.networks[0]=10.20.30.0/24'),
    ],
  },
  {
    overlay: 'production',
    components: ['managed-redis', 'managed-redis/sentinel'],
    args: [...PRODUCTION, ...set('redis.mode=external', 'redis.external.type=redis-sentinel')],
  },
];

async function template(...args: string[]): Promise<Manifest[]> {
  if ('reason' in helm) throw new Error(helm.reason);
  const { stdout } = await run(helm.path, ['template', 'blindfit', CHART, '--namespace', 'blindfit', ...args], {
    maxBuffer: 64 << 20,
  });
  return parseYaml(stdout) as Manifest[];
}

/** Labels of the chart, which kustomize has none of. */
const OWN = ['app.kubernetes.io/instance', 'app.kubernetes.io/managed-by', 'helm.sh/chart', 'helm.sh/resource-policy'];

/** Lists whose members have names or are strings, in one order; without what only the chart or an overlay has. */
function normal(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const parts = value.map((part) => normal(part));
    const named = parts.every((part) => typeof part === 'object' && part !== null && 'name' in part);
    const text = (part: unknown): string => JSON.stringify(named ? (part as { name: string }).name : part);
    return named || key === 'values' ? parts.sort((a, b) => text(a).localeCompare(text(b))) : parts;
  }
  if (typeof value !== 'object' || value === null) return typeof value === 'string' ? value.trimEnd() : value;
  const members = Object.entries(value)
    .filter(([name]) => !OWN.includes(name) && name !== 'app.kubernetes.io/name')
    .map(([name, member]) => [name, normal(member, name)] as const)
    .filter(([name, member]) => !(/^(labels|annotations)$/.test(name) && JSON.stringify(member) === '{}'));
  return Object.fromEntries(members);
}

function byName(manifests: readonly Manifest[]): Record<string, unknown> {
  const kinds = ['Secret', 'Namespace'];
  return Object.fromEntries(
    manifests
      .filter(({ kind }) => !kinds.includes(kind))
      .map((manifest) => [`${manifest.kind} ${manifest.metadata.name}`, normal(manifest)] as const)
      .sort(([a], [b]) => a.localeCompare(b)),
  );
}

describe('the chart', { skip: 'reason' in helm ? helm.reason : false }, () => {
  for (const { overlay, components, args } of CASES) {
    const skip = 'reason' in kubectl ? kubectl.reason : false;
    it(`renders the objects of ${[overlay, ...components].join(', ')}`, { skip }, async () => {
      if ('reason' in kubectl) return;
      const [chart, kustomize] = await Promise.all([
        template(...args),
        render(kubectl.path, overlay, components).then((text) => parseYaml(text) as Manifest[]),
      ]);
      const [own, wanted] = [byName(chart), byName(kustomize)];
      assert.deepEqual(Object.keys(own), Object.keys(wanted));
      for (const [name, manifest] of Object.entries(own)) assert.deepEqual(manifest, wanted[name], name);
      // The overlays themselves are checked beside this file.
      if (components.length > 0) assert.deepEqual(schemaProblems(chart), []);
    });
  }

  it('lives in any namespace, and names its release', async () => {
    if ('reason' in helm) return;
    const args = ['template', 'second', CHART, '--namespace', 'other', ...PRODUCTION];
    const { stdout } = await run(helm.path, args, { maxBuffer: 64 << 20 });
    assert.doesNotMatch(stdout.replace(/https:\S+/g, ''), /blindfit\.svc|namespace: blindfit|cluster\.local/);
    assert.match(stdout, /redis-0\.redis\.other\.svc:26379/);
    assert.match(stdout, /app\.kubernetes\.io\/instance: second/);
  });

  it('refuses values that do not exist or do not fit', async () => {
    await assert.rejects(template(...set('worker.thread=4')), /additional properties 'thread' not allowed|thread/);
    await assert.rejects(template(...set('redis.mode=cluster')), /redis.mode|\/redis\/mode/);
    await assert.rejects(template(...set('api.replicas=2')), /api.replicas is more than 1 with store.type volume/);
  });

  it('is free of what helm lint finds', async () => {
    if ('reason' in helm) return;
    const { stdout } = await run(helm.path, ['lint', '--strict', CHART]);
    assert.match(stdout, /0 chart\(s\) failed/);
  });
});

it('the schema knows every value, and no other', async () => {
  const validate = new Ajv({ allErrors: true, strict: false }).compile(
    JSON.parse(await read('deploy/helm/values.schema.json')) as object,
  );
  for (const name of ['values.yaml', 'values-production.yaml']) {
    const [values] = parseYaml(await read(`deploy/helm/${name}`));
    assert.ok(validate(values), JSON.stringify(validate.errors));
  }
  assert.equal(validate({ worker: { thread: 4 } }), false);
});
