import { messageOf } from '@blindfit/base';
import type { BlindfitClient } from '@blindfit/client';
import { withClient, type ServerFlags } from './connect.ts';
import { CliError } from './errors.ts';

/**
 * Does the same to several jobs, one after another, and prints what became of each. The failure of one of several does
 * not keep the others.
 * @param done what was to be done to them, as in "2 of 3 jobs were not cancelled"
 * @param act returns the word that is printed after the id
 * @throws CliError when some have failed; of a single job its own error
 */
export async function eachJob(
  ids: readonly string[],
  flags: ServerFlags,
  done: string,
  act: (client: BlindfitClient, id: string) => Promise<string>,
): Promise<void> {
  const failures = await withClient(flags, async (client) => {
    let failed = 0;
    for (const id of ids) {
      try {
        process.stdout.write(`${id} ${await act(client, id)}\n`);
      } catch (error) {
        if (ids.length === 1) throw error;
        process.stderr.write(`error: ${id}: ${messageOf(error)}\n`);
        failed++;
      }
    }
    return failed;
  });
  if (failures > 0) throw new CliError(`${failures} of ${ids.length} jobs were not ${done}`);
}
