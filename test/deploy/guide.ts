/** The commands of docs/operations/deploy.md, and what can be said about those that cannot run here. */
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { at } from '@blindfit/base';
import { firstGroups } from '@blindfit/testkit';
import { read, ROOT } from './support.ts';

const run = promisify(execFile);

function blocks(page: string, language: string): string[] {
  return firstGroups(page, new RegExp(`^\`\`\`${language}\\n([\\s\\S]*?)^\`\`\``, 'gm'));
}

/** Commands of the shell, in their order. */
export async function commandsOfGuide(): Promise<string[]> {
  const lines = blocks(await read('docs/operations/deploy.md'), 'sh').flatMap((block) =>
    block.replace(/\\\n\s*/g, ' ').split('\n'),
  );
  return lines.map((line) => line.trim()).filter((line) => line !== '' && !line.startsWith('#'));
}

/** A call without quotes that matter: words, its subcommands and its flags. */
function parts(command: string): { words: string[]; flags: { name: string; value: string | undefined }[] } {
  const tokens = command.split(/\s+/);
  const words: string[] = [];
  const flags: { name: string; value: string | undefined }[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const token = at(tokens, i, 'tokens');
    if (!token.startsWith('--')) {
      words.push(token);
      continue;
    }
    const [name = '', value] = token.split(/=(.*)/s, 2);
    if (value !== undefined || SWITCHES.has(name)) flags.push({ name, value });
    else flags.push({ name, value: tokens[++i] });
  }
  return { words, flags };
}

const SWITCHES = new Set(['--build', '--detach', '--push', '--all', '--create-namespace', '--local', '--server-side']);

/** Flags of programs that cannot be asked here. */
const KNOWN: Readonly<Record<string, readonly string[]>> = {
  'docker compose up': ['--file', '--profile', '--build', '--detach', '--scale'],
  'docker compose ps': ['--file'],
  'docker buildx build': ['--platform', '--file', '--tag', '--push'],
  'helm repo add': [],
  'helm install': ['--namespace', '--create-namespace', '--set', '--values'],
};

export interface Deployment {
  /** Services and profiles of the compose file. */
  readonly services: readonly string[];
  readonly profiles: readonly string[];
  /** `name:tag` of the overlays. */
  readonly images: readonly string[];
  /** Namespaces that the manifests know. */
  readonly namespaces: readonly string[];
}

/** What is wrong with a call of docker, kubectl or helm, one line each. @param kubectl the program, if there is one */
export async function callProblems(
  command: string,
  deployment: Deployment,
  kubectl: string | undefined,
): Promise<string[]> {
  const { words, flags } = parts(command);
  const problems: string[] = [];
  const name = Object.keys(KNOWN).find((each) => words.join(' ').startsWith(each));
  if (words[0] === 'kubectl') {
    if (kubectl !== undefined) {
      const known = new Set(await kubectlFlags(kubectl, words.slice(1)));
      for (const flag of flags)
        if (!known.has(flag.name)) problems.push(`kubectl ${String(words[1])} has no flag ${flag.name}`);
    }
  } else if (name === undefined) problems.push('no such command is known');
  else
    for (const flag of flags)
      if (!KNOWN[name]?.includes(flag.name)) problems.push(`${name} is not known to have ${flag.name}`);

  for (const { name: flag, value = '' } of flags) {
    if (['--file', '--kustomize', '--from-file', '--values'].includes(flag) && !existsSync(join(ROOT, value)))
      problems.push(`there is no ${value}`);
    if (flag === '--scale' && !deployment.services.includes(at(value.split('='), 0, value)))
      problems.push(`compose.yaml has no service ${value}`);
    if (flag === '--profile' && !deployment.profiles.includes(value))
      problems.push(`compose.yaml has no profile ${value}`);
    if (flag === '--tag' && !deployment.images.includes(value)) problems.push(`no overlay uses the image ${value}`);
    if (flag === '--namespace' && !deployment.namespaces.includes(value))
      problems.push(`no manifest knows the namespace ${value}`);
  }
  return problems;
}

async function kubectlFlags(kubectl: string, words: readonly string[]): Promise<string[]> {
  const depth = words[1] === 'secret' ? 3 : 2;
  const subcommand = words[0] === 'create' ? words.slice(0, depth) : words.slice(0, 1);
  const texts = await Promise.all(
    [[...subcommand, '--help'], ['options']].map(async (args) => (await run(kubectl, args)).stdout),
  );
  return firstGroups(texts.join('\n'), /(--[a-z-]+)=/g);
}
