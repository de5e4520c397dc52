/** Shows how far something is: one line redrawn on a terminal, a line now and then elsewhere. */
import { formatEta, printable } from './format.ts';
import { withFlags } from './option-flags.ts';

const BAR_CELLS = 24;
/** Redrawing faster only costs. Milliseconds. */
const REDRAW_MS = 100;
const CLEAR_LINE = '\r\u001b[2K';

/** Where progress is written; `process.stderr` is one. */
export interface ProgressStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

export interface ProgressOptions {
  /** @default process.stderr, so that results on stdout stay apart */
  readonly stream?: ProgressStream;
  /** `auto` redraws a line on a terminal and writes lines elsewhere. @default 'auto' */
  readonly mode?: 'auto' | 'redraw' | 'lines' | 'silent';
  /** Milliseconds between lines when there is no terminal. @default 5000 */
  readonly intervalMs?: number;
  /** Milliseconds of a clock that only goes forward. @default performance.now */
  readonly now?: () => number;
}

export interface ProgressState {
  /** What is being done; a change of it is always shown. */
  readonly phase: string;
  /** Without a total there is no bar. */
  readonly done?: number;
  readonly total?: number;
  /** What else there is to say. */
  readonly text?: string;
  /** @default estimated from how fast this phase went so far */
  readonly etaSeconds?: number | undefined;
}

export class Progress {
  readonly #stream: ProgressStream;
  readonly #mode: 'redraw' | 'lines' | 'silent';
  readonly #intervalMs: number;
  readonly #now: () => number;
  #state: ProgressState | undefined;
  #phaseStart = 0;
  /** `done` when the phase began: what was there already says nothing about the speed. */
  #phaseDone = 0;
  #lastShown = -Infinity;
  #lastLine = '';
  #later: NodeJS.Timeout | undefined;

  constructor(options: ProgressOptions = {}) {
    this.#stream = options.stream ?? process.stderr;
    const auto = this.#stream.isTTY === true && process.env['TERM'] !== 'dumb' ? 'redraw' : 'lines';
    this.#mode = options.mode === undefined || options.mode === 'auto' ? auto : options.mode;
    this.#intervalMs = options.intervalMs ?? 5_000;
    this.#now = options.now ?? (() => performance.now());
  }

  /** Tells where things stand; may be called as often as one likes. */
  update(state: ProgressState): void {
    if (this.#mode === 'silent') return;
    const now = this.#now();
    const newPhase = state.phase !== this.#state?.phase;
    if (newPhase) {
      this.#phaseStart = now;
      this.#phaseDone = state.done ?? 0;
    }
    this.#state = state;
    const complete = state.total !== undefined && state.done === state.total;
    const wait = this.#lastShown + (this.#mode === 'redraw' ? REDRAW_MS : this.#intervalMs) - now;
    if (newPhase || complete || wait <= 0) this.#show(now);
    // The last of several quick updates must not stay hidden for as long as no other comes.
    else this.#later ??= setTimeout(() => this.#show(this.#now()), wait).unref();
  }

  /** Writes a line above the bar; options of the library become flags. */
  log(line: string): void {
    if (this.#mode === 'silent') return;
    const again = this.#mode === 'redraw' ? this.#lastLine : '';
    this.#stream.write(`${this.#mode === 'redraw' ? CLEAR_LINE : ''}${printable(withFlags(line))}\n${again}`);
  }

  /** Ends the display; the line of a terminal is replaced by `line`, or just goes. Further updates begin anew. */
  finish(line?: string): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    this.#state = undefined;
    this.#lastShown = -Infinity;
    if (this.#mode === 'silent') return;
    if (this.#mode === 'redraw' && this.#lastLine !== '') this.#stream.write(CLEAR_LINE);
    this.#lastLine = '';
    if (line !== undefined) this.#stream.write(`${printable(line)}\n`);
  }

  #show(now: number): void {
    clearTimeout(this.#later);
    this.#later = undefined;
    const state = this.#state;
    if (state === undefined) return;
    this.#lastShown = now;
    if (this.#mode === 'redraw') {
      const width = Math.max(20, this.#stream.columns ?? 80) - 1;
      const line = Array.from(this.#line(state, now, true))
        .slice(0, width)
        .join('');
      if (line !== this.#lastLine) this.#stream.write(CLEAR_LINE + line);
      this.#lastLine = line;
      return;
    }
    const line = this.#line(state, now, false);
    if (line !== this.#lastLine) this.#stream.write(`${line}\n`);
    this.#lastLine = line;
  }

  #line({ phase, done, total, text, etaSeconds }: ProgressState, now: number, bar: boolean): string {
    const parts = [phase];
    if (done !== undefined && total !== undefined && total > 0) {
      const share = Math.min(1, Math.max(0, done / total));
      const full = Math.floor(share * BAR_CELLS);
      const percent = `${Math.floor(share * 100)} %`;
      parts.push(bar ? `[${'#'.repeat(full)}${'-'.repeat(BAR_CELLS - full)}] ${percent.padStart(5)}` : percent);
    }
    if (text !== undefined && text !== '') parts.push(text);
    const eta = etaSeconds ?? this.#estimate(done, total, now);
    if (eta !== undefined && (done === undefined || done !== total)) parts.push(`${formatEta(eta)} left`);
    return printable(parts.join('  ')).replaceAll('\n', ' ');
  }

  /** Undefined until there is something to go by. */
  #estimate(done: number | undefined, total: number | undefined, now: number): number | undefined {
    if (done === undefined || total === undefined) return undefined;
    const [elapsed, gained] = [(now - this.#phaseStart) / 1000, done - this.#phaseDone];
    return elapsed < 1 || gained <= 0 ? undefined : (elapsed / gained) * (total - done);
  }
}
