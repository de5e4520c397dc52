/** Servers end with the process that started them. */
import type { ChildProcess } from 'node:child_process';

/** Running servers, each with the function that removes its files. */
const children = new Map<ChildProcess, () => void>();
const ENDING_SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
let watching = false;

/** Ends a server when this process exits or is ended by a signal that the program does not handle itself. */
export function endWithProcess(child: ChildProcess, cleanUp: () => void): void {
  if (child.pid === undefined) return;
  children.set(child, cleanUp);
  if (watching) return;
  watching = true;
  const endAll = () => {
    // Every write is synced: there is nothing to wait for.
    for (const [each, removeFiles] of [...children]) {
      each.kill('SIGTERM');
      removeFiles();
    }
  };
  process.on('exit', endAll);
  for (const signal of ENDING_SIGNALS) {
    const onSignal = () => {
      // A program with a handler of its own decides about its end; the exit handler above does the rest.
      if (process.listenerCount(signal) > 1) return;
      endAll();
      process.off(signal, onSignal);
      process.kill(process.pid, signal);
    };
    process.on(signal, onSignal);
  }
}

/** The server has ended by itself. */
export function forgetChild(child: ChildProcess): void {
  children.delete(child);
}
