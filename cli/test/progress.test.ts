import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Progress, type ProgressOptions } from '../src/progress.ts';

class Screen {
  text = '';
  readonly isTTY: boolean;
  readonly columns: number;

  constructor(isTTY: boolean, columns = 100) {
    this.isTTY = isTTY;
    this.columns = columns;
  }

  write(text: string): void {
    this.text += text;
  }

  /** What has been written since the last call. */
  take(): string {
    const { text } = this;
    this.text = '';
    return text;
  }
}

function setUp(
  isTTY: boolean,
  options: ProgressOptions = {},
  columns?: number,
): { screen: Screen; progress: Progress; clock: { now: number } } {
  const screen = new Screen(isTTY, columns);
  const clock = { now: 0 };
  return {
    screen,
    clock,
    progress: new Progress({ stream: screen, now: () => clock.now, mode: isTTY ? 'redraw' : 'auto', ...options }),
  };
}

const CLEAR = '\r\u001b[2K';

test('redraws one line on a terminal, with bar, percentage, text and estimate', () => {
  const { screen, progress, clock } = setUp(true);
  progress.update({ phase: 'Uploading', done: 0, total: 200, text: '0 B' });
  assert.equal(screen.take(), `${CLEAR}Uploading  [------------------------]   0 %  0 B`);
  clock.now = 10_000;
  progress.update({ phase: 'Uploading', done: 50, total: 200, text: '50 B' });
  assert.equal(screen.take(), `${CLEAR}Uploading  [######------------------]  25 %  50 B  30 s left`);
  clock.now = 10_200;
  progress.update({ phase: 'Uploading', done: 199, total: 200, etaSeconds: 4 });
  assert.equal(screen.take(), `${CLEAR}Uploading  [#######################-]  99 %  4 s left`);
  progress.update({ phase: 'Uploading', done: 200, total: 200 });
  assert.equal(screen.take(), `${CLEAR}Uploading  [########################] 100 %`, 'the end is shown at once');
  progress.finish('Uploaded.');
  assert.equal(screen.take(), `${CLEAR}Uploaded.\n`);
});

test('what was done before a phase began does not count for its speed', () => {
  const { screen, progress, clock } = setUp(true);
  progress.update({ phase: 'a', done: 100, total: 200 });
  clock.now = 10_000;
  progress.update({ phase: 'a', done: 110, total: 200 });
  assert.match(screen.take(), /2 min left$/);
  progress.update({ phase: 'b', done: 0, total: 10 });
  clock.now = 12_000;
  progress.update({ phase: 'b', done: 1, total: 10 });
  assert.match(screen.take(), / 20 s left$/);
  progress.finish();
});

test('redraws at most ten times a second, but never keeps the last update back', async () => {
  const { screen, progress, clock } = setUp(true);
  for (let done = 0; done < 1000; done++) {
    clock.now += 1;
    progress.update({ phase: 'Working', done, total: 10_000 });
  }
  assert.ok(screen.text.split(CLEAR).length <= 12);
  progress.update({ phase: 'Working', done: 5000, total: 10_000 });
  assert.doesNotMatch(screen.text, /50 %/);
  await sleep(200);
  assert.match(screen.text, /50 %/);
  progress.finish();
  screen.take();
  await sleep(150);
  assert.equal(screen.take(), '', 'nothing is drawn after the end');
});

test('fits the terminal and keeps control characters out', () => {
  const { screen, progress } = setUp(true, {}, 40);
  progress.update({ phase: 'Working', done: 1, total: 2, text: `x\u001b[31m\n${'y'.repeat(100)}` });
  const line = screen.take().slice(CLEAR.length);
  assert.equal(line, 'Working  [############------------]  50');
  assert.equal(line.length, 39);
});

test('writes a log line above the bar', () => {
  const { screen, progress } = setUp(true);
  progress.update({ phase: 'Working' });
  progress.log('widen `sigmoidRange`');
  assert.equal(screen.take(), `${CLEAR}Working${CLEAR}widen --sigmoid-range\nWorking`);
  progress.finish();
  assert.equal(screen.take(), CLEAR);
  progress.finish();
  assert.equal(screen.take(), '');
});

test('without a terminal: a line for each phase and every few seconds', async () => {
  const { screen, progress, clock } = setUp(false, { intervalMs: 5000 });
  progress.update({ phase: 'Encrypting', done: 0, total: 4 });
  for (const done of [1, 2, 3]) {
    clock.now += 2000;
    progress.update({ phase: 'Encrypting', done, total: 4, text: `block ${done}` });
  }
  progress.log('a remark');
  progress.update({ phase: 'Encrypting', done: 4, total: 4 });
  progress.update({ phase: 'Waiting' });
  progress.finish('Done.');
  assert.equal(
    screen.take(),
    [
      'Encrypting  0 %',
      'Encrypting  75 %  block 3  2 s left',
      'a remark',
      'Encrypting  100 %',
      'Waiting',
      'Done.',
      '',
    ].join('\n'),
  );

  const quick = setUp(false, { intervalMs: 50 });
  quick.progress.update({ phase: 'Working', done: 0, total: 4 });
  quick.progress.update({ phase: 'Working', done: 1, total: 4 });
  await sleep(150);
  assert.equal(quick.screen.take(), 'Working  0 %\nWorking  25 %\n');
  quick.progress.finish();
});

test('silent is silent', () => {
  const { screen, progress } = setUp(true, { mode: 'silent' });
  progress.update({ phase: 'Working', done: 1, total: 2 });
  progress.log('a remark');
  progress.finish('Done.');
  assert.equal(screen.take(), '');
});
