import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { CapturedText, until } from '@blindfit/testkit';
import { InterruptedError } from '../src/errors.ts';
import { passphraseFrom, type Terminal } from '../src/passphrase.ts';

const none: Terminal = { input: new PassThrough(), output: new CapturedText() };

/** A terminal on which somebody types an answer to each question. */
function typing(...answers: readonly string[]): { terminal: Terminal; shown: CapturedText; raw: boolean[] } {
  const [shown, raw] = [new CapturedText(), [] as boolean[]];
  const input = Object.assign(new PassThrough(), { isTTY: true, setRawMode: (on: boolean) => void raw.push(on) });
  const output = Object.assign(shown, { isTTY: true });
  void (async () => {
    for (const [index, answer] of answers.entries()) {
      await until(() => raw.filter(Boolean).length > index, 'the question');
      for (const key of answer) input.write(key);
    }
  })();
  return { terminal: { input, output }, shown, raw };
}

test('the environment, and before it a command, give the passphrase once', async () => {
  const given = passphraseFrom({ given: 'of the environment', terminal: none });
  assert.deepEqual([await given.open('f', 1), await given.open('f', 2)], ['of the environment', undefined]);
  assert.equal(await given.create('f'), 'of the environment');
  const command = passphraseFrom({ command: "printf 'of a manager\\nlogin: x\\n'", given: 'y', terminal: none });
  assert.deepEqual([await command.open('f', 1), await command.open('f', 2)], ['of a manager', undefined]);
  await assert.rejects(passphraseFrom({ command: 'exit 3', terminal: none }).open('f', 1), /ended with status 3/);
  await assert.rejects(passphraseFrom({ command: 'true', terminal: none }).open('f', 1), /printed nothing/);
});

test('without a terminal nothing is asked, and a new key gets none unless that was wanted', async () => {
  const source = passphraseFrom({ terminal: none });
  assert.deepEqual([await source.open('f', 1), await source.create('f')], [undefined, undefined]);
  await assert.rejects(passphraseFrom({ wanted: true, terminal: none }).create('f'), /no terminal/);
});

test('a terminal asks up to three times and shows nothing of what is typed', async () => {
  const { terminal, shown, raw } = typing('wrong\r', 'sec\u007fcret\r', 'other\n');
  const source = passphraseFrom({ terminal });
  assert.equal(await source.open('my.key', 1), 'wrong');
  assert.equal(await source.open('my.key', 2), 'secret');
  assert.equal(await source.open('my.key', 3), 'other');
  assert.equal(await source.open('my.key', 4), undefined);
  assert.equal(
    shown.text,
    ['', 'That was another one. ', 'That was another one. ']
      .map((again) => `${again}Passphrase of my.key: \n`)
      .join(''),
  );
  assert.deepEqual(raw, [true, false, true, false, true, false]);
});

test('a new passphrase is typed twice; Ctrl-C gives up', async () => {
  const create = async (...answers: string[]): Promise<string | undefined> =>
    await passphraseFrom({ wanted: true, terminal: typing(...answers).terminal }).create('f');
  assert.equal(await create('new\r', 'new\r'), 'new');
  await assert.rejects(create('new\r', 'now\r'), /two passphrases/);
  await assert.rejects(create('\r'), /at least one character/);
  await assert.rejects(create('ne\u0003'), InterruptedError);
});
