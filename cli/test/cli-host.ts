/** Runs command lines one after the other in one process: a start takes longer than a refusal. */
import { runCommandLine } from '../src/program.ts';

export interface Call {
  readonly args: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

export interface Answer {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** What is written to a stream while a body runs. */
async function during(body: () => Promise<number>): Promise<Answer> {
  const texts = { stdout: '', stderr: '' };
  const writes = (['stdout', 'stderr'] as const).map((name) => {
    const stream = process[name];
    const write = stream.write.bind(stream);
    stream.write = (chunk: Uint8Array | string): boolean => {
      texts[name] += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString('utf8');
      return true;
    };
    return () => void (stream.write = write);
  });
  try {
    return { status: await body(), ...texts };
  } finally {
    for (const restore of writes) restore();
  }
}

process.on('message', ({ args, env }: Call) => {
  for (const name of Object.keys(process.env)) Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, env);
  void during(() => runCommandLine(args)).then((answer) => process.send?.(answer));
});
