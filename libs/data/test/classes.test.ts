import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { classesOf, classIndices, oneHot, requireKnownLabels } from '../src/index.ts';
import { isDatasetError, type ExpectedError } from './support.ts';

const range = (from: number, to: number): string[] => Array.from({ length: to - from }, (_, i) => String(from + i));

suite('classesOf', () => {
  const good: { name: string; labels: string[]; explicit?: string[]; expected: string[] }[] = [
    { name: 'digits by value', labels: ['2', '0', '1', '2'], expected: ['0', '1', '2'] },
    { name: 'numbers by value, not as text', labels: range(0, 12).reverse(), expected: range(0, 12) },
    { name: 'negative numbers', labels: ['1', '-1', '0'], expected: ['-1', '0', '1'] },
    { name: 'numbers that do not start at 0', labels: ['8', '7'], expected: ['7', '8'] },
    { name: 'text by code unit', labels: ['ä', 'b', 'Z', 'a'], expected: ['Z', 'a', 'b', 'ä'] },
    { name: 'numbers among text count as text, gaps and all', labels: ['10', '9', 'x'], expected: ['10', '9', 'x'] },
    { name: 'names of object internals', labels: ['__proto__', 'constructor'], expected: ['__proto__', 'constructor'] },
    { name: 'explicit classes close a gap', labels: ['0', '2'], explicit: ['2', '0'], expected: ['0', '2'] },
    {
      name: 'explicit classes in other spellings',
      labels: ['0', '2'],
      explicit: [' 2.0', '0e0'],
      expected: ['0', '2'],
    },
    {
      name: 'explicit text classes',
      labels: ['dog', 'cat', 'dog'],
      explicit: ['cat', 'dog'],
      expected: ['cat', 'dog'],
    },
    {
      name: 'an explicit class of 200 characters',
      labels: ['a', 'b'.repeat(200)],
      explicit: ['a', 'b'.repeat(200)],
      expected: ['a', 'b'.repeat(200)],
    },
  ];
  for (const { name, labels, explicit, expected } of good) {
    test(name, () => assert.deepEqual(classesOf(labels, explicit), expected));
  }

  const bad: ({ name: string; labels: string[]; explicit?: string[] } & ExpectedError)[] = [
    { name: 'no samples', labels: [], code: 'empty', message: /no training samples/ },
    { name: 'one class', labels: ['3', '3'], code: 'bad-classes', message: /at least 2 classes and there is only 3/ },
    {
      name: 'one missing digit',
      labels: ['0', '1', '3'],
      code: 'bad-classes',
      message: /no training sample has the label 2, though 0 to 3 occur; add samples, or pass `classes` 0,1,3 to train/,
    },
    {
      name: 'several missing digits',
      labels: ['0', '4', '9'],
      code: 'bad-classes',
      message: /labels 1, 2, 3, 5, 6, 7, 8, .*`classes` 0,4,9 to train without them/,
    },
    { name: 'a gap around zero', labels: ['-1', '1'], code: 'bad-classes', message: /label 0,/ },
    {
      name: 'a huge gap, quickly',
      labels: ['0', '9007199254740991'],
      code: 'bad-classes',
      message: /labels 1, 2, .* 10 and 9007199254740980 more/,
    },
    {
      name: 'many classes with a gap',
      labels: [...range(0, 60), '61'],
      code: 'bad-classes',
      message: /label 60, .*`classes` 0,1,.*,39,\.\.\. to/,
    },
    {
      name: 'as many classes as are listed in full, with a gap',
      labels: [...range(0, 39), '40'],
      code: 'bad-classes',
      message: /label 39, .*`classes` 0,1,.*,38,40 to/,
    },
    {
      name: 'an explicit class without samples',
      labels: ['0', '1'],
      explicit: ['0', '1', '2', '3'],
      code: 'bad-classes',
      message: /no training sample has the classes 2, 3; add samples or leave them out/,
    },
    {
      name: 'a label outside the explicit classes',
      labels: ['0', '1', '7'],
      explicit: ['0', '1'],
      code: 'unknown-label',
      message: /training label 7 is not among the classes 0, 1;/,
    },
    {
      name: 'an explicit class twice',
      labels: ['0', '1'],
      explicit: ['0', '1', '1.0'],
      code: 'bad-classes',
      message: /names 1 more than once/,
    },
    {
      name: 'one explicit class',
      labels: ['0', '0'],
      explicit: ['0'],
      code: 'bad-classes',
      message: /there is only 0/,
    },
    { name: 'no explicit class', labels: ['0', '1'], explicit: [], code: 'bad-classes', message: /none was given/ },
    {
      name: 'an empty explicit class',
      labels: ['0', '1'],
      explicit: ['0', '1', ' '],
      code: 'bad-label',
      message: /list of classes: the label is empty/,
    },
  ];
  for (const { name, labels, explicit, ...expected } of bad) {
    test(`refuses ${name}`, () => assert.throws(() => classesOf(labels, explicit), isDatasetError(expected)));
  }
});

suite('oneHot and classIndices', () => {
  test('follow the order of the classes', () => {
    const [labels, classes] = [
      ['b', 'a', 'c', 'b'],
      ['c', 'a', 'b'],
    ];
    assert.deepEqual([...classIndices(labels, classes)], [2, 1, 0, 2]);
    assert.deepEqual([...oneHot(labels, classes)], [0, 0, 1, 0, 1, 0, 1, 0, 0, 0, 0, 1]);
  });
  test('refuse an unknown label', () => {
    const expected = isDatasetError({ code: 'unknown-label', message: /label z is not among the classes a, b/ });
    assert.throws(() => oneHot(['a', 'z'], ['a', 'b']), expected);
    assert.throws(() => classIndices(['a', 'z'], ['a', 'b']), expected);
  });
});

suite('requireKnownLabels', () => {
  test('passes known labels, and fewer than the training has', () => {
    assert.doesNotThrow(() => requireKnownLabels(['1', '1'], ['0', '1', '2']));
  });
  test('names every unknown label once, and the set', () => {
    assert.throws(
      () => requireKnownLabels(['11', '0', '9', '9'], ['0', '1'], 'validation'),
      isDatasetError({
        code: 'unknown-label',
        message: /^validation labels 9, 11 are not among the classes 0, 1; correct or remove these samples/,
      }),
    );
  });
  test('does not flood the terminal', () => {
    assert.throws(
      () => requireKnownLabels([...range(100, 5000), 'x'.repeat(1000)], range(0, 90)),
      isDatasetError({ code: 'unknown-label', message: /^(?=.* and 4891 more )(?=.* and 70 more;).{0,500}$/ }),
    );
  });
});
