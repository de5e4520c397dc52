/** The production overlay with a Redis outside of the namespace: nothing of the pod is left. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ScaledObjectSpec } from './cluster.ts';
import { findKubectl } from './kubectl.ts';
import { schemaProblems, unknownFields } from './manifest-schemas.ts';
import type { Manifest, Workload } from './manifests.ts';
import { parseYaml, render } from './support.ts';

it('with a managed Redis there is none of ours, and its address comes from the secret', async (t) => {
  const kubectl = await findKubectl();
  if ('reason' in kubectl) return t.skip(kubectl.reason);
  const all = parseYaml(await render(kubectl.path, 'production', ['managed-redis'])) as Manifest[];
  const names = (kind: string): string[] =>
    all.filter((manifest) => manifest.kind === kind).map(({ metadata }) => metadata.name);
  assert.deepEqual(names('StatefulSet'), []);
  for (const kind of ['Service', 'ConfigMap', 'ServiceAccount', 'PodDisruptionBudget'])
    assert.ok(!names(kind).includes('redis'), kind);
  const policies = names('NetworkPolicy');
  assert.ok(policies.includes('to-managed-redis'));
  for (const name of ['redis', 'to-redis', 'keda-to-redis', 'redis-peers']) assert.ok(!policies.includes(name), name);
  const rest = all.filter(({ kind }) => kind !== 'Secret');
  assert.deepEqual([schemaProblems(rest), unknownFields(rest)], [[], []]);
  for (const name of ['api', 'scheduler', 'worker']) {
    const workload = all.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === name);
    const [container] = (workload as Manifest<Workload>).spec.template.spec.containers;
    const keys = (container?.env ?? []).flatMap(({ name: variable, valueFrom }) => [
      [variable, valueFrom?.secretKeyRef?.key],
    ]);
    const key = (wanted: string): unknown => keys.find(([variable]) => variable === wanted)?.[1];
    assert.deepEqual([key('REDIS_ADDRESS'), key('BLINDFIT_REDIS_URL')], ['redis-address', 'redis-url']);
    assert.ok(!keys.some(([variable]) => variable === 'REDIS_PASSWORD'));
  }
  const scaled = all.find(({ kind }) => kind === 'ScaledObject') as Manifest<ScaledObjectSpec>;
  for (const { type, metadata } of scaled.spec.triggers) {
    assert.deepEqual([type, metadata['address'], metadata['addresses']], ['redis', undefined, undefined]);
    assert.deepEqual([metadata['addressFromEnv'], metadata['enableTLS']], ['REDIS_ADDRESS', 'true']);
  }
  const authentication = all.find(({ kind }) => kind === 'TriggerAuthentication') as Manifest<{
    secretTargetRef: { parameter: string; key: string }[];
  }>;
  assert.deepEqual(
    authentication.spec.secretTargetRef.map(({ parameter, key }) => [parameter, key]),
    [
      ['username', 'redis-username'],
      ['password', 'redis-password'],
    ],
  );
});
