/** Commands that the documentation shows can be typed: scripts, commands and flags exist. */
import assert from 'node:assert/strict';
import { it } from 'node:test';
import { firstGroups } from '@blindfit/testkit';
import { partsIn } from './generate.ts';
import { commands, flagsIn, helpOf, pages, read } from './support.ts';

/** Lines of shell in fenced blocks, continuation lines joined. */
function shellLines(page: string): string[] {
  const blocks = firstGroups(page, /^```(?:sh|bash)\n([\s\S]*?)^```/gm);
  return blocks
    .flatMap((block) => block.replace(/\\\n\s*/g, ' ').split('\n'))
    .filter((line) => line.trim() !== '' && !line.trim().startsWith('#'));
}

/** Calls of blindfit in shell examples, in the examples of help texts, and in running text. */
function calls(page: string): string[] {
  const inHelp = firstGroups(page, /^```text\n([\s\S]*?)^```/gm).flatMap((block) =>
    block.split('\n').filter((line) => /^ {2}(?:[A-Z_]+=\S+ )?blindfit /.test(line)),
  );
  const inline = firstGroups(page.replace(/^```[\s\S]*?^```/gm, ''), /`(blindfit [a-z][^`]*)`/g);
  return [...shellLines(page), ...inHelp, ...inline];
}

it('every npm script in a shell example exists', () => {
  const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> };
  let seen = 0;
  for (const path of pages()) {
    for (const line of shellLines(read(path))) {
      const script = /\bnpm (?:run (?:-s )?)?(demo|test|bench|check|blindfit|[a-z]+)\b/.exec(line)?.[1];
      if (script === undefined || ['ci', 'run', 'install'].includes(script)) continue;
      seen++;
      assert.ok(script in scripts, `${path}: ${line}: there is no npm script "${script}"`);
    }
  }
  assert.ok(seen >= 3, `${seen} examples use npm`);
});

it('every blindfit command in an example exists, with its flags', async () => {
  const flags = new Map<string, Set<string>>();
  for (const command of await commands()) flags.set(command, new Set(flagsIn(await helpOf(command))));
  let seen = 0;
  for (const path of pages()) {
    for (const line of calls(read(path))) {
      const call = /(?:^|\s)(?:npm run -s blindfit --|blindfit) ([a-z]+)(.*)$/.exec(
        line.replace(/^\s*(?:alias|kubectl|helm) .*/, ''),
      );
      if (call === null) continue;
      seen++;
      const [, command = '', rest = ''] = call;
      const [, subcommand] = /^ ([a-z]+)/.exec(rest) ?? [];
      const allowed = flags.get(`${command} ${subcommand}`) ?? flags.get(command);
      assert.ok(allowed !== undefined, `${path}: ${line}: there is no command "${command}"`);
      for (const [, flag = ''] of rest.split(/[|>]/)[0]?.matchAll(/\s(--[a-z-]+)/g) ?? [])
        assert.ok(allowed.has(flag), `${path}: ${line}: "${command}" has no flag ${flag}`);
    }
  }
  assert.ok(seen > 20, `${seen} examples call blindfit`);
});

it('docs/reference/cli.md has the help of every command', async () => {
  const documented = partsIn(read('docs/reference/cli.md'));
  for (const command of await commands())
    assert.ok(documented.has(`help ${command}`), `docs/reference/cli.md lacks <!-- generated: help ${command} -->`);
});
