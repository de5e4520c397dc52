/**
 * The manifests of both overlays as kustomize renders them: valid by the schemas, and right: selectors meet labels,
 * ports meet ports, settings are those of the services.
 */
import assert from 'node:assert/strict';
import { before, describe, it } from 'node:test';
import { required } from '@blindfit/base';
import { QUEUES } from '@blindfit/queue';
import { variables } from '@blindfit/service';
import { type Cluster, describeOverlays, environmentOf, type ScaledObjectSpec } from './cluster.ts';
import { prometheusRule, RULE_PATH } from './generate.ts';
import { schemaProblems, unknownFields } from './manifest-schemas.ts';
import {
  quantity,
  selects,
  type Labels,
  type Manifest,
  type Policy,
  type Selector,
  type Workload,
} from './manifests.ts';
import { environmentProblems, read, readers } from './support.ts';

/** The Sentinels of the overlay `production`. */
const SENTINELS = [0, 1, 2].map((index) => `redis-${index}.redis:26379`);

/** Rounds of a request that a probe may be late, and the kubelet, too. Seconds. */
const MARGIN = 10;

describeOverlays((rendered, overlay, components) => {
  const traced = components.includes('tracing');
  let cluster: Cluster;
  before(async () => (cluster = await rendered()));

  it(
    'is valid by the JSON schemas of Kubernetes, KEDA and the Prometheus operator, and has no field they ' +
      'do not know',
    () => {
      assert.ok(cluster.all.length >= 20);
      // kustomize breaks long values into lines, which Kubernetes accepts and the format "byte" does not.
      const unbroken = cluster.all.map((manifest) =>
        manifest.kind === 'Secret'
          ? {
              ...manifest,
              data: Object.fromEntries(
                Object.entries(manifest.data ?? {}).map(([key, value]) => [key, value.replaceAll('\n', '')]),
              ),
            }
          : manifest,
      );
      assert.deepEqual(schemaProblems(unbroken), []);
      assert.deepEqual(unknownFields(cluster.all), []);
    },
  );

  it('lies in one namespace, and nothing is there twice', () => {
    const ids = cluster.all.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    assert.deepEqual(ids, [...new Set(ids)]);
    for (const { kind, metadata } of cluster.all)
      if (kind === 'PriorityClass') assert.equal(metadata.namespace, undefined, metadata.name);
      else
        assert.equal(kind === 'Namespace' ? metadata.name : metadata.namespace, 'blindfit', `${kind} ${metadata.name}`);
  });

  it('selectors meet the pods they mean', () => {
    const pods = cluster.workloads.map(({ metadata, spec }) => ({
      name: metadata.name,
      labels: spec.template.metadata.labels,
    }));
    const hits = (selector: Selector): string[] =>
      pods.filter(({ labels }) => selects(selector, labels)).map(({ name }) => name);
    for (const { metadata, spec } of cluster.workloads)
      assert.deepEqual(hits(spec.selector), [metadata.name], metadata.name);
    for (const { metadata, spec } of cluster.of<{ selector: Labels }>('Service'))
      assert.deepEqual(hits({ matchLabels: spec.selector }), [metadata.name], `service ${metadata.name}`);
    for (const { metadata, spec } of cluster.of<{ selector: Selector }>('PodDisruptionBudget'))
      assert.deepEqual(hits(spec.selector), [metadata.name], `budget ${metadata.name}`);
    for (const { metadata, spec } of cluster.of<{ selector: Selector }>('PodMonitor'))
      assert.equal(`blindfit-${hits(spec.selector).join()}`, metadata.name);
    for (const { metadata, spec } of cluster.of<Policy>('NetworkPolicy'))
      assert.ok(hits(spec.podSelector).length > 0, `policy ${metadata.name}`);
    for (const { metadata, spec } of cluster.of<{ selector: Selector }>('ServiceMonitor')) {
      const services = cluster.of('Service').filter((service) => selects(spec.selector, service.metadata.labels ?? {}));
      assert.deepEqual(
        services.map((service) => `blindfit-${service.metadata.name}`),
        [metadata.name],
      );
    }
  });

  it('ports meet ports', () => {
    const portsOf = (name: string): Map<string, number> =>
      new Map(
        cluster.workloads
          .find(({ metadata }) => metadata.name === name)
          ?.spec.template.spec.containers.flatMap(({ ports = [] }) =>
            ports.map((port) => [port.name, port.containerPort] as const),
          ),
      );
    for (const { metadata, spec } of cluster.of<{ ports: { name: string; port: number; targetPort: string }[] }>(
      'Service',
    )) {
      for (const { port, targetPort } of spec.ports)
        assert.equal(portsOf(metadata.name).get(targetPort), port, `service ${metadata.name}`);
    }
    for (const { metadata, spec } of cluster.of<{ endpoints: { port: string }[] }>('ServiceMonitor')) {
      const service = cluster.one<{ ports: { name: string }[] }>('Service', metadata.name.replace('blindfit-', ''));
      for (const { port } of spec.endpoints)
        assert.ok(
          service.spec.ports.some(({ name }) => name === port),
          metadata.name,
        );
    }
    for (const { metadata, spec } of cluster.of<{ podMetricsEndpoints: { port: string }[] }>('PodMonitor')) {
      for (const { port } of spec.podMetricsEndpoints)
        assert.ok(portsOf(metadata.name.replace('blindfit-', '')).has(port), metadata.name);
    }
    // What the image listens on, and what the addresses in settings say.
    assert.equal(portsOf('api').get('http'), 8080);
    for (const name of ['scheduler', 'worker']) assert.equal(portsOf(name).get('metrics'), 9464);
    for (const { container } of cluster.services) {
      const environment = environmentOf(container);
      const wanted = overlay === 'small' ? [`redis:${portsOf('redis').get('redis')}`] : SENTINELS;
      assert.deepEqual(/@([^/]+)/.exec(String(environment['BLINDFIT_REDIS_URL']))?.[1]?.split(','), wanted);
      const store = new URL(environment['BLINDFIT_STORE'] ?? '');
      if (/^https?:$/.test(store.protocol)) assert.equal(store.host, `api:${String(portsOf('api').get('http'))}`);
    }
  });

  it('settings are those of the services, and start them', async () => {
    const readBy = await readers();
    assert.ok(readBy.size > 10);
    for (const { name, container } of cluster.services) {
      assert.deepEqual(container.args, [name]);
      assert.deepEqual(environmentProblems(name, environmentOf(container), readBy), [], name);
      assert.equal(Object.hasOwn(environmentOf(container), 'OTEL_EXPORTER_OTLP_ENDPOINT'), traced, name);
    }
  });

  it('every reference to a secret, a config map, an account or a volume leads somewhere', () => {
    for (const { metadata, spec } of cluster.workloads) {
      const { containers, volumes = [], serviceAccountName } = spec.template.spec;
      cluster.one('ServiceAccount', serviceAccountName ?? 'default');
      for (const { configMap, persistentVolumeClaim } of volumes) {
        if (configMap !== undefined) cluster.one('ConfigMap', configMap.name);
        if (persistentVolumeClaim !== undefined) cluster.one('PersistentVolumeClaim', persistentVolumeClaim.claimName);
      }
      for (const { env = [], volumeMounts = [] } of containers) {
        for (const { name, valueFrom } of env) {
          const reference = valueFrom?.secretKeyRef;
          if (valueFrom !== undefined && !('fieldRef' in valueFrom))
            assert.ok(
              reference !== undefined && cluster.hasSecret(reference.name, reference.key),
              `${metadata.name}: ${name}`,
            );
        }
        const there = [...volumes, ...(spec.volumeClaimTemplates ?? []).map((claim) => claim.metadata)]
          .map(({ name }) => name)
          .sort();
        assert.deepEqual(volumeMounts.map(({ name }) => name).sort(), there, `${metadata.name} mounts its volumes`);
      }
    }
    for (const { spec } of cluster.of<{
      endpoints: { authorization: { credentials: { name: string; key: string } } }[];
    }>('ServiceMonitor')) {
      for (const { authorization } of spec.endpoints)
        assert.ok(cluster.hasSecret(authorization.credentials.name, authorization.credentials.key));
    }
    for (const { spec } of cluster.of<{
      authorization: { credentials: { name: string; key: string } };
      httpSDConfigs: { url: string }[];
    }>('ScrapeConfig')) {
      assert.ok(cluster.hasSecret(spec.authorization.credentials.name, spec.authorization.credentials.key));
      assert.deepEqual(
        spec.httpSDConfigs.map(({ url }) => new URL(url).host),
        ['api.blindfit.svc:8080'],
      );
    }
    for (const { spec } of cluster.of<{ secretTargetRef: { name: string; key: string }[] }>('TriggerAuthentication')) {
      for (const { name, key } of spec.secretTargetRef) assert.ok(cluster.hasSecret(name, key));
    }
  });

  it('containers are nobody, and write only where something is mounted', () => {
    for (const { metadata, spec } of cluster.workloads) {
      const pod = spec.template.spec;
      assert.equal(pod.automountServiceAccountToken, false, metadata.name);
      assert.equal(pod.securityContext?.runAsNonRoot, true);
      assert.ok((pod.securityContext.runAsUser ?? 0) > 0);
      assert.equal(pod.securityContext.seccompProfile?.type, 'RuntimeDefault');
      for (const { securityContext, volumeMounts = [], env = [] } of pod.containers) {
        assert.equal(securityContext?.allowPrivilegeEscalation, false, metadata.name);
        assert.equal(securityContext.readOnlyRootFilesystem, true);
        assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
        const mounts = volumeMounts.map(({ mountPath }) => mountPath);
        const store = String(env.find(({ name }) => name === 'BLINDFIT_STORE')?.value);
        if (store.startsWith('file://'))
          assert.ok(
            mounts.some((mount) => store.startsWith(`file://${mount}/`)),
            `${metadata.name}: ${store} is not on a volume`,
          );
        if (metadata.name === 'worker' || metadata.name === 'scheduler')
          assert.ok(mounts.includes('/var/cache/blindfit'), `${metadata.name}: the cache is not on a volume`);
      }
    }
    for (const { spec } of cluster.of<{ automountServiceAccountToken?: boolean }>('ServiceAccount'))
      assert.equal(spec, undefined);
  });

  it('images are pinned, and resources are asked for and bounded', () => {
    for (const { metadata, spec } of cluster.workloads) {
      for (const { image, resources } of spec.template.spec.containers) {
        assert.match(image, /(:v?\d+\.\d+\.\d+(-[a-z]+)?|@sha256:[0-9a-f]{64})$/, metadata.name);
        assert.ok(quantity(resources?.requests?.['cpu']) > 0, metadata.name);
        for (const name of ['memory', 'ephemeral-storage']) {
          const [asked, most] = [quantity(resources?.requests?.[name]), quantity(resources?.limits?.[name])];
          assert.ok(asked > 0 && asked <= most, `${metadata.name}: ${name}`);
        }
      }
    }
  });

  it('every service has its three probes, at paths there are', async () => {
    const routes = await read('libs/service/src/health-routes.ts');
    for (const { name, container } of cluster.services) {
      for (const [probe, path] of [
        ['startupProbe', '/healthz'],
        ['livenessProbe', '/healthz'],
        ['readinessProbe', '/readyz'],
      ] as const) {
        const request = container[probe]?.httpGet;
        assert.equal(request?.path, path, `${name} ${probe}`);
        assert.ok(routes.includes(`app.get('${path}'`), path);
        assert.ok(
          container.ports?.some((port) => port.name === request.port),
          `${name} ${probe}`,
        );
      }
    }
  });

  it('pods are given longer to end than services take, and workers longer than a task', async () => {
    for (const { name, pod, container } of cluster.services) {
      const stop = Number(environmentOf(container)['BLINDFIT_STOP_SECONDS']);
      const [, seconds = '0'] = container.lifecycle?.preStop?.exec?.command ?? [];
      const wait = Number(seconds);
      assert.ok(
        (pod.terminationGracePeriodSeconds ?? 30) >= stop + wait + MARGIN,
        `${name}: ${pod.terminationGracePeriodSeconds ?? 30} s`,
      );
      if (name !== 'worker') continue;
      // The histogram of task durations ends where tasks are not expected to be longer.
      const buckets = /name: 'blindfit_task_duration_seconds'[\s\S]*?buckets: \[([^\]]*)\]/.exec(
        await read('services/worker/src/metrics.ts'),
      )?.[1];
      const longest = Math.max(...(buckets ?? '').split(',').map(Number));
      assert.ok(stop >= 2 * longest, `a worker is given ${stop} s, tasks take up to ${longest} s`);
    }
  });

  it('budgets let nodes be drained', () => {
    const budgets = cluster.of<{ minAvailable?: unknown; maxUnavailable?: string | number }>('PodDisruptionBudget');
    assert.deepEqual(budgets.map(({ metadata }) => metadata.name).sort(), ['api', 'redis', 'scheduler', 'worker']);
    for (const { metadata, spec } of budgets) {
      assert.equal(spec.minAvailable, undefined, `${metadata.name}: with one replica nothing could be drained`);
      assert.ok(Number.parseInt(String(spec.maxUnavailable)) > 0, metadata.name); // percentages are rounded up
    }
  });

  it('several copies of the API never share a volume that one pod may hold', () => {
    const api = cluster.one<Workload>('Deployment', 'api').spec;
    const claims = (api.template.spec.volumes ?? []).filter(
      ({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined,
    );
    if (claims.length > 0) assert.deepEqual([api.replicas, api.strategy?.type], [1, 'Recreate']);
    else assert.ok((api.replicas ?? 0) >= 2 && api.strategy?.type !== 'Recreate');
    assert.equal(cluster.of('PersistentVolumeClaim').length, claims.length);
  });

  it('volumes of a pod and 50 MiB of logs have room in what it may write', () => {
    for (const { metadata, spec } of cluster.of<Workload>('Deployment')) {
      const { volumes = [], containers } = spec.template.spec;
      const sum = volumes.reduce((all, { emptyDir }) => all + (emptyDir ? quantity(emptyDir.sizeLimit) : 0), 0);
      for (const { resources } of containers) {
        assert.ok(sum <= quantity(resources?.requests?.['ephemeral-storage']), metadata.name);
        assert.ok(sum + 50 * 2 ** 20 <= quantity(resources?.limits?.['ephemeral-storage']), metadata.name);
      }
    }
  });

  it('a worker has a CPU and memory for each thread', () => {
    const worker = cluster.services.find(({ name }) => name === 'worker');
    const threads = Number(environmentOf(worker?.container ?? { name: '', image: '' })['BLINDFIT_THREADS']);
    assert.equal(quantity(worker?.container.resources?.requests?.['cpu']), threads);
    assert.ok(
      quantity(worker?.container.resources?.limits?.['memory']) >= threads * 600 * 2 ** 20 + 300 * 2 ** 20,
      'about 0.6 GiB a thread, and the process',
    );
  });

  it('Redis keeps every write and refuses new ones when it is full', () => {
    const config = required(
      cluster
        .of('ConfigMap')
        .map(({ data }) => data?.['redis.conf'])
        .find((text) => text !== undefined),
      'redis.conf',
    );
    const lines = config.split('\n').map((line) => line.trim());
    for (const line of ['appendonly yes', 'appendfsync always', 'save ""', 'maxmemory-policy noeviction'])
      assert.ok(lines.includes(line), line);
    const maxmemory = Number(/^maxmemory (\d+)mb$/m.exec(lines.join('\n'))?.[1]);
    const [container] = cluster.one<Workload>('StatefulSet', 'redis').spec.template.spec.containers;
    const limit = quantity(container?.resources?.limits?.['memory']);
    assert.ok(maxmemory * 2 ** 20 <= 0.8 * limit, `${maxmemory} MiB of ${limit} bytes`);
  });

  if (overlay === 'production') {
    it('KEDA scales the workers by the lists of the task queue', () => {
      const [scaled, ...others] = cluster.of<ScaledObjectSpec>('ScaledObject');
      assert.ok(scaled !== undefined && others.length === 0);
      const { scaleTargetRef, maxReplicaCount, minReplicaCount, advanced, triggers } = scaled.spec;
      const worker = cluster.one<Workload>('Deployment', scaleTargetRef.name);
      assert.equal(worker.spec.replicas, undefined, 'the number of workers is KEDA’s');
      const threads = Number(
        environmentOf(worker.spec.template.spec.containers[0] ?? { name: '', image: '' })['BLINDFIT_THREADS'],
      );
      assert.equal(Number(advanced.scalingModifiers.target), threads, 'one task a thread');
      assert.ok(minReplicaCount >= 1);
      assert.equal(maxReplicaCount * threads, 64);
      const api = cluster.services.find(({ name }) => name === 'api');
      assert.equal(
        environmentOf(api?.container ?? { name: '', image: '' })['BLINDFIT_PLAN_THREADS'],
        String(maxReplicaCount * threads),
        'jobs are cut for all workers there may be',
      );
      const prefix = `${String(variables.queuePrefix.default?.({}))}:${QUEUES.tasks}`;
      assert.deepEqual(
        triggers.map(({ type, metadata }) => [type, metadata['listName']]),
        [
          ['redis-sentinel', `${prefix}:wait`],
          ['redis-sentinel', `${prefix}:prioritized`],
          ['redis-sentinel', `${prefix}:active`],
        ],
      );
      assert.equal(advanced.scalingModifiers.formula, triggers.map(({ name }) => name).join(' + '));
      for (const { metadata, authenticationRef } of triggers) {
        cluster.one('TriggerAuthentication', authenticationRef.name);
        const addresses = metadata['addresses']?.replaceAll('.redis.blindfit.svc:', '.redis:').split(',');
        assert.deepEqual([addresses, metadata['sentinelMaster']], [SENTINELS, 'blindfit']);
      }
      cluster.one('Service', 'redis');
    });

    it('KEDA starts workers at once, and ends them only after five minutes with less to do', () => {
      const [scaled] = cluster.of<ScaledObjectSpec>('ScaledObject');
      const { scaleUp, scaleDown } = required(scaled, 'the ScaledObject').spec.advanced.horizontalPodAutoscalerConfig
        .behavior;
      assert.equal(scaleUp.stabilizationWindowSeconds, 0);
      // Owners answer a refresh within minutes; the queue is empty meanwhile.
      assert.equal(scaleDown.stabilizationWindowSeconds, 300);
      assert.deepEqual(scaleDown.policies, [{ type: 'Percent', value: 50, periodSeconds: 120 }]);
    });
  }
});

it('the operator gets the rules of deploy/prometheus', async (t) => {
  const rule = await prometheusRule();
  if (rule === undefined) t.skip('there are no rules');
  else assert.equal(await read(RULE_PATH), rule, 'run: node test/deploy/generate.ts');
});

describe('what the checks of manifests are worth', () => {
  const service = (spec: unknown): Manifest => ({ apiVersion: 'v1', kind: 'Service', metadata: { name: 'x' }, spec });
  it('a wrong value and an unknown field are seen', () => {
    assert.equal(schemaProblems([service({ ports: [{ port: 'http' }] })]).length, 1);
    assert.match(
      String(unknownFields([service({ ports: [{ port: 80, tragetPort: 80 }] })])[0]),
      /Service x: .*tragetPort/,
    );
    assert.deepEqual(unknownFields([service({ ports: [{ port: 80 }] })]), []);
  });

  it('a wrong setting is seen', async () => {
    const readBy = await readers();
    const good = { BLINDFIT_REDIS_URL: 'redis://redis:6379', BLINDFIT_STORE: 'file:///blobs' };
    assert.deepEqual(environmentProblems('worker', good, readBy), []);
    assert.deepEqual(environmentProblems('worker', { ...good, BLINDFIT_TREADS: '4' }, readBy), [
      'BLINDFIT_TREADS is no variable of ours',
    ]);
    assert.deepEqual(environmentProblems('worker', { ...good, BLINDFIT_RETENTION: '24h' }, readBy), [
      'worker does not read BLINDFIT_RETENTION',
    ]);
    assert.match(
      environmentProblems('worker', { ...good, BLINDFIT_THREADS: 'many' }, readBy).join(),
      /BLINDFIT_THREADS: "many" is not allowed/,
    );
    assert.deepEqual(environmentProblems('api', good, readBy), ['BLINDFIT_TOKEN is missing']);
  });
});
