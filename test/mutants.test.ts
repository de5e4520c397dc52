/** The lists of faults for `npm run mutants` fit the sources: each fault can be put in, and its tests exist. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { listNames, placeOf, problemsOf, readMutants } from '../scripts/mutants/list.ts';

for (const name of listNames()) {
  test(`test/mutants/${name}.json fits the sources`, () => {
    const mutants = readMutants(name);
    assert.deepEqual(
      mutants.flatMap((mutant) => problemsOf(mutant).map((problem) => `"${mutant.what}" ${problem}`)),
      [],
    );
    const edits = new Set(mutants.map((mutant) => JSON.stringify([placeOf(mutant), mutant.find, mutant.replace])));
    assert.equal(edits.size, mutants.length, 'no fault is listed twice');
  });
}
