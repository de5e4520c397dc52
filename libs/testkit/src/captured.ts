import { Writable } from 'node:stream';

/** A stream that keeps the text written to it. */
export class CapturedText extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk.toString('utf8');
    done();
  }
}

/** A stream that keeps the lines of JSON written to it, parsed. Every chunk must consist of whole lines. */
export class CapturedLines extends Writable {
  readonly lines: Record<string, unknown>[] = [];

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    for (const line of chunk.toString('utf8').trimEnd().split('\n'))
      this.lines.push(JSON.parse(line) as Record<string, unknown>);
    done();
  }
}
