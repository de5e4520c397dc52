/**
 * Prometheus' own tool checks the configuration and the rules and runs their tests; every alert has all its reader
 * needs.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { cp, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { valueOf } from '@blindfit/base';
import { DOCS_URL } from '@blindfit/dashboards';
import { temporaryDirectory } from '@blindfit/testkit';
import { linksOf } from '../../deploy/grafana/test/rules.ts';
import { committed } from '../../deploy/grafana/test/support.ts';
import { DIRECTORY, readYaml, rules, yamlFiles, type Config } from './files.ts';
import { findPrograms } from './program.ts';

const run = promisify(execFile);
const all = rules();
const alerts = all.filter(({ alert }) => alert !== undefined);

describe('promtool', async () => {
  const found = await findPrograms('prometheus', ['prometheus', 'promtool']);
  const promtool = async (t: TestContext, directory: string, ...args: string[]): Promise<string> => {
    if (found.reason !== undefined) {
      t.skip(found.reason);
      return '';
    }
    const { stdout, stderr } = await run(join(found.directory, 'promtool'), args, { cwd: directory }).catch(
      (error: unknown) => {
        const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
        throw new Error(`promtool ${args.join(' ')}:\n${stdout}${stderr}`);
      },
    );
    return stdout + stderr;
  };

  it('accepts the configuration, with its rules and the files it names', async (t) => {
    await using copy = await temporaryDirectory();
    await cp(DIRECTORY, copy.path, { recursive: true });
    await writeFile(join(copy.path, 'blindfit-token'), 'x'.repeat(32));
    await promtool(t, copy.path, 'check', 'config', 'prometheus.yml');
  });

  it('would notice a missing token file', async (t) => {
    await using copy = await temporaryDirectory();
    await cp(DIRECTORY, copy.path, { recursive: true });
    await rm(join(copy.path, 'blindfit-token'), { force: true });
    if (found.reason === undefined)
      await assert.rejects(promtool(t, copy.path, 'check', 'config', 'prometheus.yml'), /blindfit-token/);
    else t.skip(found.reason);
  });

  it(
    'is not told of a scrape that would be refused: service discovery sends a token as it is, unless ' +
      'told what it is',
    () => {
      const files = readdirSync(DIRECTORY).filter((name) => name.endsWith('.yml'));
      const lists = files.flatMap(
        (name) =>
          (readYaml(join(DIRECTORY, name)) as Partial<Config>).scrape_configs?.flatMap(
            ({ http_sd_configs: found = [] }) => found.map(({ authorization }) => ({ name, authorization })),
          ) ?? [],
      );
      assert.ok(lists.length > 0);
      for (const { name, authorization } of lists) assert.equal(authorization?.type, 'Bearer', name);
    },
  );

  it('accepts the rules', async (t) => {
    await promtool(t, DIRECTORY, 'check', 'rules', ...yamlFiles('rules'));
  });

  it('finds that the rules do what their tests say', async (t) => {
    await promtool(t, DIRECTORY, 'test', 'rules', ...yamlFiles('tests'));
  });
});

/** Text of a promtool test, as far as we look at it. */
interface RuleTests {
  readonly tests: readonly {
    readonly alert_rule_test?: readonly { readonly alertname: string; readonly exp_alerts?: readonly unknown[] }[];
    readonly promql_expr_test?: readonly { readonly expr: string }[];
  }[];
}

describe('rules', () => {
  const cases = yamlFiles('tests').flatMap((path) => (readYaml(path) as RuleTests).tests);

  it('every alert is tested to fire and to keep quiet; every recorded figure has a test', () => {
    const tried = cases.flatMap((each) => each.alert_rule_test ?? []);
    for (const { alert } of alerts) {
      const own = tried.filter(({ alertname }) => alertname === alert);
      assert.ok(
        own.some(({ exp_alerts: expected = [] }) => expected.length > 0),
        `no test makes ${alert ?? ''} fire`,
      );
      // It always fires.
      if (alert === 'BlindfitWatchdog') continue;
      assert.ok(
        own.some(({ exp_alerts: expected = [] }) => expected.length === 0),
        `no test keeps ${alert ?? ''} quiet`,
      );
    }
    const evaluated = cases.flatMap((each) => each.promql_expr_test ?? []).map(({ expr }) => expr);
    for (const { record } of all)
      if (record !== undefined)
        assert.ok(
          evaluated.some((expr) => expr.includes(record)),
          `no test is about ${record}`,
        );
  });

  it('recorded figures are named LEVEL:METRIC:OPERATIONS, and alerts Blindfit...', () => {
    for (const { record, alert } of all) {
      if (record !== undefined) assert.match(record, /^blindfit(_instance)?:[a-z0-9_]+:[a-z0-9_]+$/);
      else assert.match(alert ?? '', /^Blindfit[A-Za-z]+$/);
    }
    const names = all.map(({ record, alert }) => record ?? alert);
    assert.equal(new Set(names).size, names.length, 'no name is used twice');
  });

  it(
    'every alert has a severity, a summary, a description, and a section of the runbook; every section ' +
      'has its alert',
    async () => {
      const runbook = await readFile(
        fileURLToPath(new URL('../../docs/operations/runbook.md', import.meta.url)),
        'utf8',
      );
      const sections = new Map(
        runbook
          .split(/^## /m)
          .slice(1)
          .map((text): [string, string] => [text.slice(0, text.indexOf('\n')), text]),
      );
      assert.deepEqual([...sections.keys()].sort(), alerts.map(({ alert }) => alert ?? '').sort());
      for (const { alert = '', labels = {}, annotations = {} } of alerts) {
        assert.match(labels['severity'] ?? '', /^(critical|warning|none)$/, alert);
        for (const name of ['summary', 'description'])
          assert.match(String(annotations[name]), /\w{3}/, `${alert}: ${name}`);
        assert.equal(annotations['runbook_url'], `${DOCS_URL}/operations/runbook.md#${alert.toLowerCase()}`);
        const section = valueOf(sections, alert, 'the runbook');
        for (const part of ['Means', 'Check', 'Do'])
          assert.match(section, new RegExp(`^\\*\\*${part}\\*\\* `, 'm'), `${alert} lacks "${part}"`);
        assert.ok(section.includes(`(${labels['severity'] ?? ''})`), `the section of ${alert} says another severity`);
      }
    },
  );

  it('inhibitions are of alerts that there are, and silence no alert by itself', () => {
    const names = alerts.map(({ alert = '' }) => alert);
    const { inhibit_rules: inhibitions } = readYaml(join(DIRECTORY, 'alertmanager.yml')) as {
      readonly inhibit_rules: readonly Record<'source_matchers' | 'target_matchers', readonly string[]>[];
    };
    const named = (matchers: readonly string[]): string[] => {
      const pattern = matchers.map((text) => /^alertname =~? "?([^"]+)"?$/.exec(text)?.[1]).find(Boolean);
      return names.filter((name) => new RegExp(`^(?:${pattern ?? 'none'})$`).test(name));
    };
    assert.ok(inhibitions.length > 5);
    for (const { source_matchers: sources, target_matchers: targets } of inhibitions) {
      assert.ok(named(sources).length > 0, sources.join());
      assert.ok(named(targets).length > 0, targets.join());
      for (const name of named(sources)) assert.ok(!named(targets).includes(name), name);
    }
  });

  it('dashboards link to sections that there are', () => {
    const anchors = new Set(alerts.map(({ alert = '' }) => alert.toLowerCase()));
    const links = [...committed().values()]
      .flatMap(linksOf)
      .filter((url) => url.startsWith(`${DOCS_URL}/operations/runbook.md#`));
    assert.ok(links.length > 10, `${links.length} links lead into the runbook`);
    for (const url of links) assert.ok(anchors.has(url.slice(url.indexOf('#') + 1)), url);
  });
});
