import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { ConfigError, optional, variables } from '@blindfit/service';
import { addConfigFlags, configOf, givenFlags } from '../src/config.ts';

const { redisUrl, token, threads, port, logLevel } = variables;
const TABLE = { redisUrl, token: optional(token), threads, port, logLevel };

test('flags override the environment, which overrides the defaults', () => {
  const command = addConfigFlags(new Command('service').exitOverride(), TABLE);
  command.parse(['--threads', '3', '--redis', 'unix:///flag.sock'], { from: 'user' });
  const config = configOf(TABLE, givenFlags(command), {
    BLINDFIT_THREADS: '7',
    BLINDFIT_PORT: '9000',
    REDIS_URL: 'redis://other',
  });
  assert.deepEqual(
    { ...config },
    { redisUrl: 'unix:///flag.sock', token: undefined, threads: 3, port: 9000, logLevel: 'info' },
  );
});

test('what is wrong is named by the flag or by the variable, whichever it came from', () => {
  assert.throws(
    () =>
      configOf(
        TABLE,
        { '--threads': '0', '--redis': 'http://user:secret@host' },
        { BLINDFIT_PORT: 'eighty', BLINDFIT_TOKEN: 'short' },
      ),
    (error) => {
      assert.ok(error instanceof ConfigError);
      assert.equal(error.problems.length, 4);
      assert.match(error.message, /--threads: "0" is not allowed; allowed: an integer from 1 to 1024/);
      assert.match(error.message, /--redis: .*scheme is 'http'/);
      assert.match(error.message, /BLINDFIT_PORT: "eighty" is not allowed/);
      assert.match(error.message, /BLINDFIT_TOKEN: the value given is not allowed/);
      assert.doesNotMatch(error.message, /secret|short/);
      return true;
    },
  );
});

test('every setting has a flag that names its variable, but for the token', () => {
  const command = addConfigFlags(new Command('service'), variables);
  assert.equal(command.options.length, Object.keys(variables).length - 1);
  const help = command.helpInformation().replaceAll(/\s+/g, ' ');
  for (const [name, { env }] of Object.entries(variables)) assert.equal(help.includes(env), name !== 'token', name);
});
