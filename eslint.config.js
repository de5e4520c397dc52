import { createTypeScriptImportResolver } from 'eslint-import-resolver-typescript';
import { importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** One style of privacy and of exports. */
const STYLE = [
  {
    selector: ':matches(PropertyDefinition, MethodDefinition[kind!="constructor"])[accessibility="private"]',
    message: 'Write #name instead of private name.',
  },
  { selector: 'ExportAllDeclaration', message: 'Export by name.' },
];

/** What an index, a call or an optional chain may lack. A default of an option or of an environment variable is allowed. */
const INDEX = "MemberExpression[computed=true][property.raw!=/^'/]";
const LOOKUP = `:matches(${INDEX}, CallExpression, ChainExpression, AwaitExpression).left`;
const EMPTY = [
  'Literal[raw="0"].right',
  `Literal[value=""].right`,
  'UnaryExpression[operator="-"][argument.raw="1"].right',
  'Identifier[name="NaN"].right',
];

/** Missing values throw. */
const DEFAULTS = [
  {
    selector: `LogicalExpression[operator="??"]:has(> ${LOOKUP}):has(${EMPTY.map((each) => `> ${each}`).join(', ')})`,
    message: 'A missing value throws: use at(), required() or valueOf() from @blindfit/base.',
  },
  {
    selector: 'SpreadElement > ConditionalExpression > ObjectExpression[properties.length=0]',
    message: 'Declare the option as `name?: T | undefined` and pass it as it is.',
  },
];

/** Loops over typed arrays, whose indices are right by construction. */
const NUMERIC_KERNELS = [
  'libs/training/src/layout/**',
  'libs/training/src/reference/**',
  'libs/he/src/native/ckks-encoder.ts',
  'libs/he/src/slots.ts',
  'libs/he/src/seal/roots.ts',
  'libs/he/src/seal/add-multiple.ts',
];

export default tseslint.config(
  { ignores: ['**/node_modules/**', '**/.blindfit/**', 'dist/**', '**/*_pb.ts'] },
  {
    files: ['**/*.ts'],
    extends: [...tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    settings: { 'import-x/resolver-next': [createTypeScriptImportResolver()] },
    rules: {
      '@typescript-eslint/no-explicit-any': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { ignoreRestSiblings: true }],
      '@typescript-eslint/no-floating-promises': [
        'error',
        {
          allowForKnownSafeCalls: [
            { from: 'package', name: ['test', 'it', 'suite', 'describe'], package: 'node:test' },
          ],
        },
      ],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/no-confusing-void-expression': 'off',
      'no-restricted-syntax': ['error', ...STYLE, ...DEFAULTS],
      'max-lines': ['error', { max: 400 }],
      'max-len': ['error', { code: 120, ignoreUrls: true, ignoreRegExpLiterals: true }],
      'import-x/order': [
        'error',
        {
          groups: ['builtin', 'external', 'parent', 'sibling', 'index'],
          pathGroups: [{ pattern: '@blindfit/**', group: 'external', position: 'after' }],
          pathGroupsExcludedImportTypes: ['builtin'],
          'newlines-between': 'never',
          alphabetize: { order: 'asc', caseInsensitive: true },
        },
      ],
      'import-x/no-duplicates': ['error', { 'prefer-inline': true }],
      'import-x/no-cycle': 'error',
      'import-x/no-self-import': 'error',
    },
  },
  {
    // Loops over typed arrays, whose indices are in range by construction.
    files: [
      'libs/images/src/{backbones,features}/**/*.ts',
      'libs/data/src/{calibration,expansion,idx,evaluate,lbfgs,parse-preprocessing,pca,preprocessing}.ts',
      'libs/data/src/{quantile,softmax-regression}.ts',
      'libs/tuning/{src,test}/*.ts',
      'bench/src/accuracy/*.ts',
      'libs/data/src/{input,table}/**',
      'libs/report/src/png.ts',
      'libs/training/src/{method,layout/encode,reference/train}.ts',
      'libs/{data,images}/test/**/*.ts',
      'cli/test/by-the-book.ts',
    ],
    rules: { '@typescript-eslint/no-non-null-assertion': 'off' },
  },
  { files: NUMERIC_KERNELS, rules: { 'no-restricted-syntax': ['error', ...STYLE] } },
);
