/** The network of both overlays admits what is meant and nothing else. */
import assert from 'node:assert/strict';
import { before, it } from 'node:test';
import { required } from '@blindfit/base';
import { firstGroups } from '@blindfit/testkit';
import { type Cluster, describeOverlays, environmentOf } from './cluster.ts';
import { type Labels, type Policy } from './manifests.ts';
import { admits, type End } from './network.ts';
import { type Overlay } from './support.ts';

describeOverlays((rendered, overlay, components) => {
  const traced = components.includes('tracing');
  const encrypted = components.includes('tls');
  let cluster: Cluster;
  before(async () => (cluster = await rendered()));

  it('who speaks TLS is spoken to by TLS, with a certificate that they trust', () => {
    const mounted = (name: string): string[] => {
      const { container, pod } = required(
        cluster.services.find((service) => service.name === name),
        name,
      );
      return (pod.volumes ?? []).flatMap(({ name: volume, secret }) =>
        (secret?.items ?? []).map(
          ({ path }) => `${String(container.volumeMounts?.find((mount) => mount.name === volume)?.mountPath)}/${path}`,
        ),
      );
    };
    for (const { name, container } of cluster.services) {
      const environment = environmentOf(container);
      const { BLINDFIT_TLS_CERT: cert, BLINDFIT_TLS_KEY: key, BLINDFIT_STORE: store = '' } = environment;
      assert.equal(cert !== undefined, encrypted && name === 'api', name);
      if (cert !== undefined && key !== undefined) assert.deepEqual(mounted(name), [cert, key]);
      for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe'] as const)
        assert.equal(container[probe]?.httpGet?.scheme ?? 'HTTP', cert === undefined ? 'HTTP' : 'HTTPS', probe);
      if (!store.startsWith('http')) continue;
      assert.equal(new URL(store).protocol, encrypted ? 'https:' : 'http:', name);
      if (encrypted) assert.deepEqual(mounted(name), [environment['NODE_EXTRA_CA_CERTS']]);
    }
  });

  it('each has the token that opens what it needs, and Prometheus that for metrics', () => {
    for (const { name, container } of cluster.services) {
      const keys = Object.fromEntries(
        (container.env ?? []).flatMap(({ name: variable, valueFrom }) =>
          valueFrom?.secretKeyRef?.name === 'blindfit' ? [[variable, valueFrom.secretKeyRef.key]] : [],
        ),
      );
      const { REDIS_PASSWORD: _, BLINDFIT_TOKEN: token, ...others } = keys;
      // With a bucket nobody needs to ask the API.
      assert.equal(token, name === 'api' ? 'token' : overlay === 'small' ? 'work-token' : undefined, name);
      const tokens = name === 'api' ? ['metrics-token', 'operator-token', 'work-token'] : [];
      assert.deepEqual(Object.values(others).sort(), tokens, name);
    }
    const text = JSON.stringify([...cluster.of('ServiceMonitor'), ...cluster.of('ScrapeConfig')]);
    const used = firstGroups(text, /"credentials":\{"key":"([^"]+)"/g);
    assert.deepEqual([...new Set(used)], overlay === 'production' ? ['metrics-token'] : []);
    assert.equal(used.length, firstGroups(text, /"(credentials)":/g).length);
  });

  it('the network admits what is meant and nothing else', () => {
    const policies = cluster.of<Policy>('NetworkPolicy').map(({ spec }) => spec);
    const pod = (name: string, namespace: string, labels: Labels, namespaceLabels: Labels = {}): End => ({
      name,
      namespace,
      labels,
      namespaceLabels: { 'kubernetes.io/metadata.name': namespace, ...namespaceLabels },
    });
    const own = cluster.workloads.map(({ metadata, spec }) =>
      pod(metadata.name, 'blindfit', spec.template.metadata.labels),
    );
    const ends: End[] = [
      ...own,
      pod('dns', 'kube-system', { 'k8s-app': 'kube-dns' }),
      pod('ingress', 'ingress-nginx', { 'app.kubernetes.io/name': 'ingress-nginx' }, { 'blindfit-owners': 'allowed' }),
      pod('keda', 'keda', { app: 'keda-operator' }),
      pod('prometheus', 'monitoring', { 'app.kubernetes.io/name': 'prometheus' }),
      pod('grafana', 'monitoring', { 'app.kubernetes.io/name': 'grafana' }),
      pod('collector', 'monitoring', { 'app.kubernetes.io/name': 'opentelemetry-collector' }),
      pod('stranger', 'default', { 'app.kubernetes.io/component': 'worker' }),
      { name: 'bucket', address: '52.95.170.1' },
      { name: 'metadata-service', address: '169.254.169.254' },
      { name: 'private', address: '10.1.2.3' },
    ];
    const admitted: string[] = [];
    for (const from of ends) {
      for (const to of ends) {
        if (from === to || !(own.includes(from) || own.includes(to))) continue;
        for (const [port, protocol] of [
          [53, 'UDP'],
          [53, 'TCP'],
          [80, 'TCP'],
          [443, 'TCP'],
          [4318, 'TCP'],
          [6379, 'TCP'],
          [26379, 'TCP'],
          [8080, 'TCP'],
          [9464, 'TCP'],
        ] as const) {
          if (admits(policies, 'blindfit', { from, to, port, protocol }))
            admitted.push(`${from.name} -> ${to.name}:${port}/${protocol}`);
        }
      }
    }
    const ours = ['api', 'scheduler', 'worker'];
    const wanted = [
      ...ours.flatMap((name) => [`${name} -> dns:53/UDP`, `${name} -> dns:53/TCP`, `${name} -> redis:6379/TCP`]),
      'ingress -> api:8080/TCP',
      ...(traced ? ours.map((name) => `${name} -> collector:4318/TCP`) : []),
      ...(
        {
          small: ['scheduler -> api:8080/TCP', 'worker -> api:8080/TCP'],
          production: [
            ...ours.map((name) => `${name} -> bucket:443/TCP`),
            ...ours.map((name) => `${name} -> redis:26379/TCP`),
            'keda -> redis:6379/TCP',
            'keda -> redis:26379/TCP',
            'redis -> dns:53/UDP',
            'redis -> dns:53/TCP',
            'prometheus -> api:8080/TCP',
            'prometheus -> scheduler:9464/TCP',
            'prometheus -> worker:9464/TCP',
          ],
        } satisfies Record<Overlay, string[]>
      )[overlay],
    ];
    assert.deepEqual(admitted.sort(), wanted.sort());
  });
});
