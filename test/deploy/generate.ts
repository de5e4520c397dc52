/**
 * Brings what is made from other files up to date: the alerts of deploy/prometheus/rules as an object for the
 * Prometheus operator, and for the chart.
 */
import { existsSync } from 'node:fs';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { parseYaml, read, ROOT } from './support.ts';

export const RULE_PATH = 'deploy/kubernetes/components/monitoring/prometheus-rule.yaml';
/** The same rules where the chart takes them from. */
const CHART_RULES = 'deploy/helm/files/prometheus-rules.yaml';
const RULES = 'deploy/prometheus/rules';

/** The PrometheusRule as it should be, or undefined where there are no rules. */
export async function prometheusRule(): Promise<string | undefined> {
  if (!existsSync(join(ROOT, RULES))) return undefined;
  const names = (await readdir(join(ROOT, RULES))).filter((name) => name.endsWith('.yaml')).sort();
  const groups = (
    await Promise.all(
      names.map(async (name) =>
        (parseYaml(await read(`${RULES}/${name}`)) as { groups: unknown[] }[]).flatMap((file) => file.groups),
      ),
    )
  ).flat();
  const rule = {
    apiVersion: 'monitoring.coreos.com/v1',
    kind: 'PrometheusRule',
    metadata: { name: 'blindfit', labels: { 'app.kubernetes.io/component': 'api' } },
    spec: { groups },
  };
  return (
    `# Made from ${RULES} by: node ` +
    `test/deploy/generate.ts\n${stringify(rule, { lineWidth: 120, aliasDuplicateObjects: false })}`
  );
}

if (import.meta.main) {
  const rule = await prometheusRule();
  if (rule !== undefined) {
    await writeFile(join(ROOT, RULE_PATH), rule);
    const [{ spec }] = parseYaml(rule) as [{ spec: object }];
    await writeFile(join(ROOT, CHART_RULES), stringify(spec, { lineWidth: 120, aliasDuplicateObjects: false }));
  }
}
