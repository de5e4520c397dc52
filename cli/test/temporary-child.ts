// Exits in the middle of its work, or ends it; see temporary.test.ts.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { withTemporaryDirectory } from '../src/temporary.ts';

await withTemporaryDirectory('blindfit-keys-', async (path) => {
  await writeFile(join(path, 'secret.key'), '');
  process.stdout.write(path);
  if (process.argv[2] === 'exit') process.exit(3);
  if (process.argv[2] === 'throw') throw new Error('on purpose');
});
