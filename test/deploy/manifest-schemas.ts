/** Manifests against the schemas of Kubernetes, KEDA and the Prometheus operator. */
import { join } from 'node:path';
import { ScaledObject } from '@kubernetes-models/keda/keda.sh/v1alpha1/ScaledObject';
import { TriggerAuthentication } from '@kubernetes-models/keda/keda.sh/v1alpha1/TriggerAuthentication';
import { PodMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PodMonitor';
import { PrometheusRule } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/PrometheusRule';
import { ServiceMonitor } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1/ServiceMonitor';
import { ScrapeConfig } from '@kubernetes-models/prometheus-operator/monitoring.coreos.com/v1alpha1/ScrapeConfig';
import { Deployment } from 'kubernetes-models/apps/v1/Deployment';
import { StatefulSet } from 'kubernetes-models/apps/v1/StatefulSet';
import { Ingress } from 'kubernetes-models/networking.k8s.io/v1/Ingress';
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy';
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget';
import { PriorityClass } from 'kubernetes-models/scheduling.k8s.io/v1/PriorityClass';
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap';
import { Namespace } from 'kubernetes-models/v1/Namespace';
import { PersistentVolumeClaim } from 'kubernetes-models/v1/PersistentVolumeClaim';
import { Secret } from 'kubernetes-models/v1/Secret';
import { Service } from 'kubernetes-models/v1/Service';
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount';
import ts from 'typescript';
import type { Manifest } from './manifests.ts';
import { ROOT } from './support.ts';

interface Validating {
  validate(): void;
}

const CORE = 'kubernetes-models/v1';
const OPERATOR = '@kubernetes-models/prometheus-operator/monitoring.coreos.com';
const KEDA = '@kubernetes-models/keda/keda.sh/v1alpha1';

/** By apiVersion and kind: the validator, and the module that has the type. */
const KINDS: Readonly<Record<string, { readonly model: new (data: never) => Validating; readonly module: string }>> = {
  'v1 ConfigMap': { model: ConfigMap, module: CORE },
  'v1 Namespace': { model: Namespace, module: CORE },
  'v1 PersistentVolumeClaim': { model: PersistentVolumeClaim, module: CORE },
  'v1 Secret': { model: Secret, module: CORE },
  'v1 Service': { model: Service, module: CORE },
  'v1 ServiceAccount': { model: ServiceAccount, module: CORE },
  'apps/v1 Deployment': { model: Deployment, module: 'kubernetes-models/apps/v1' },
  'apps/v1 StatefulSet': { model: StatefulSet, module: 'kubernetes-models/apps/v1' },
  'networking.k8s.io/v1 Ingress': { model: Ingress, module: 'kubernetes-models/networking.k8s.io/v1' },
  'networking.k8s.io/v1 NetworkPolicy': { model: NetworkPolicy, module: 'kubernetes-models/networking.k8s.io/v1' },
  'policy/v1 PodDisruptionBudget': { model: PodDisruptionBudget, module: 'kubernetes-models/policy/v1' },
  'scheduling.k8s.io/v1 PriorityClass': { model: PriorityClass, module: 'kubernetes-models/scheduling.k8s.io/v1' },
  'keda.sh/v1alpha1 ScaledObject': { model: ScaledObject, module: KEDA },
  'keda.sh/v1alpha1 TriggerAuthentication': { model: TriggerAuthentication, module: KEDA },
  'monitoring.coreos.com/v1 PodMonitor': { model: PodMonitor, module: `${OPERATOR}/v1` },
  'monitoring.coreos.com/v1 PrometheusRule': { model: PrometheusRule, module: `${OPERATOR}/v1` },
  'monitoring.coreos.com/v1 ServiceMonitor': { model: ServiceMonitor, module: `${OPERATOR}/v1` },
  'monitoring.coreos.com/v1alpha1 ScrapeConfig': { model: ScrapeConfig, module: `${OPERATOR}/v1alpha1` },
};

function kindOf(manifest: Manifest): (typeof KINDS)[string] {
  const kind = KINDS[`${manifest.apiVersion} ${manifest.kind}`];
  if (kind === undefined)
    throw new Error(`no schema for ${manifest.apiVersion} ${manifest.kind} is known: add it to this file`);
  return kind;
}

/** Values that the JSON schemas refuse, one line each. */
export function schemaProblems(manifests: readonly Manifest[]): string[] {
  return manifests.flatMap((manifest) => {
    try {
      new (kindOf(manifest).model)(manifest as never).validate();
      return [];
    } catch (error) {
      return [`${manifest.kind} ${manifest.metadata.name}: ${String(error)}`];
    }
  });
}

/**
 * Fields that do not exist, one line each. The schemas allow any, as those of Kubernetes do; the compiler, which sees
 * the manifests as literals of the types made from the same schemas, does not.
 */
export function unknownFields(manifests: readonly Manifest[]): string[] {
  const path = join(ROOT, 'test/deploy/manifests-as-types.ts');
  const modules = [...new Set(manifests.map((manifest) => `${kindOf(manifest).module}/${manifest.kind}`))];
  const source = [
    ...modules.map((module) => `import type { I${String(module.split('/').at(-1))} } from '${module}';`),
    ...manifests.map((manifest, i) => `export const m${i}: I${manifest.kind} = ${JSON.stringify(manifest)};`),
  ].join('\n');
  const options: ts.CompilerOptions = {
    noEmit: true,
    strict: true,
    skipLibCheck: true,
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    target: ts.ScriptTarget.ESNext,
    types: [],
  };
  const disk = ts.createCompilerHost(options);
  const host: ts.CompilerHost = {
    ...disk,
    fileExists: (name) => name === path || disk.fileExists(name),
    readFile: (name) => (name === path ? source : disk.readFile(name)),
    getSourceFile: (name, ...rest) =>
      name === path ? ts.createSourceFile(name, source, ts.ScriptTarget.ESNext) : disk.getSourceFile(name, ...rest),
  };
  const program = ts.createProgram([path], options, host);
  return [...program.getSyntacticDiagnostics(), ...program.getSemanticDiagnostics()].map((diagnostic) => {
    const line =
      diagnostic.file === undefined || diagnostic.start === undefined
        ? 0
        : diagnostic.file.getLineAndCharacterOfPosition(diagnostic.start).line - modules.length;
    const manifest = manifests[line];
    return (
      `${String(manifest?.kind)} ${String(manifest?.metadata.name)}: ` +
      ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')
    );
  });
}
