/** The objects that kustomize renders for each overlay. */
import assert from 'node:assert/strict';
import { describe } from 'node:test';
import { findKubectl } from './kubectl.ts';
import { type Container, type Labels, type Manifest, type PodSpec, type Workload } from './manifests.ts';
import { OVERLAYS, parseYaml, render, type Overlay } from './support.ts';

const kubectl = await findKubectl();

export interface ScaledObjectSpec {
  readonly scaleTargetRef: { readonly name: string };
  readonly minReplicaCount: number;
  readonly maxReplicaCount: number;
  readonly pollingInterval?: number;
  readonly advanced: {
    readonly scalingModifiers: { readonly formula: string; readonly target: string };
    readonly horizontalPodAutoscalerConfig: {
      readonly behavior: Readonly<
        Record<'scaleUp' | 'scaleDown', { readonly stabilizationWindowSeconds: number; readonly policies: unknown }>
      >;
    };
  };
  readonly triggers: readonly {
    readonly name: string;
    readonly type: string;
    readonly metadata: Labels;
    readonly authenticationRef: { readonly name: string };
  }[];
}

/** The objects of an overlay, and what the tests ask of them. */
export class Cluster {
  readonly all: readonly Manifest[];

  constructor(all: readonly Manifest[]) {
    this.all = all;
  }

  of<Spec>(kind: string): Manifest<Spec>[] {
    return this.all.filter((manifest) => manifest.kind === kind) as Manifest<Spec>[];
  }

  one<Spec>(kind: string, name: string): Manifest<Spec> {
    const found = this.of<Spec>(kind).find((manifest) => manifest.metadata.name === name);
    assert.ok(found, `there is a ${kind} ${name}`);
    return found;
  }

  get workloads(): Manifest<Workload>[] {
    return [...this.of<Workload>('Deployment'), ...this.of<Workload>('StatefulSet')];
  }

  /** Containers of the image that is ours. */
  get services(): { name: string; pod: PodSpec; container: Container; replicas: number | undefined }[] {
    return this.of<Workload>('Deployment').flatMap(({ metadata, spec }) =>
      spec.template.spec.containers.map((container) => ({
        name: metadata.name,
        pod: spec.template.spec,
        container,
        replicas: spec.replicas,
      })),
    );
  }

  hasSecret(name: string, key: string): boolean {
    return Object.hasOwn(this.of('Secret').find((secret) => secret.metadata.name === name)?.data ?? {}, key);
  }
}

/** Values that come from secrets are stood in for; $(NAME) is filled in as Kubernetes does. */
export function environmentOf(container: Container): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const { name, value } of container.env ?? [])
    environment[name] = (value ?? '0123456789abcdef'.repeat(4)).replace(
      /\$\(([A-Z_]+)\)/g,
      (all, other: string) => environment[other] ?? all,
    );
  return environment;
}

/** The overlays, and what is optional with one that it fits. */
const RENDERINGS: readonly { readonly overlay: Overlay; readonly components: readonly string[] }[] = [
  ...OVERLAYS.map((overlay) => ({ overlay, components: [] })),
  { overlay: 'production', components: ['tracing'] },
  { overlay: 'small', components: ['tls'] },
];

/**
 * Describes each overlay, and those with what is optional; skipped where no kubectl renders them.
 * @param body is given what renders the objects
 */
export function describeOverlays(
  body: (rendered: () => Promise<Cluster>, overlay: Overlay, components: readonly string[]) => void,
): void {
  const skip = 'reason' in kubectl ? kubectl.reason : false;
  for (const { overlay, components } of RENDERINGS)
    describe(`overlay ${[overlay, ...components].join(' with ')}`, { skip }, () => {
      const rendered = async (): Promise<Cluster> => {
        if ('reason' in kubectl) throw new Error(kubectl.reason);
        return new Cluster(parseYaml(await render(kubectl.path, overlay, components)) as Manifest[]);
      };
      body(rendered, overlay, components);
    });
}
