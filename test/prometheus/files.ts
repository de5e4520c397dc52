/** The committed configuration and rules of Prometheus. */
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';

export const DIRECTORY = fileURLToPath(new URL('../../deploy/prometheus', import.meta.url));

export interface Rule {
  readonly record?: string;
  readonly alert?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** Files of rules, or of their tests, in a folder; absolute paths. */
export function yamlFiles(folder: 'rules' | 'tests'): string[] {
  return readdirSync(join(DIRECTORY, folder))
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => join(DIRECTORY, folder, name));
}

export function readYaml(path: string): unknown {
  return parse(readFileSync(path, 'utf8'));
}

/** All rules, recording ones first. */
export function rules(): Rule[] {
  const all = yamlFiles('rules').flatMap((path) =>
    (readYaml(path) as { groups: { rules: Rule[] }[] }).groups.flatMap((group) => group.rules),
  );
  return [...all.filter(({ record }) => record !== undefined), ...all.filter(({ alert }) => alert !== undefined)];
}

/** A job of the configuration, as far as tests look at it. */
export interface ScrapeConfig {
  job_name: string;
  authorization?: { credentials_file: string };
  static_configs?: { targets: string[] }[];
  file_sd_configs?: { files: string[] }[];
  http_sd_configs?: {
    url: string;
    refresh_interval: string;
    authorization?: { type?: string; credentials_file: string };
  }[];
}

export interface Config {
  global: { scrape_interval: string; evaluation_interval: string };
  rule_files: string[];
  scrape_configs: ScrapeConfig[];
}

export function config(): Config {
  return readYaml(join(DIRECTORY, 'prometheus.yml')) as Config;
}
