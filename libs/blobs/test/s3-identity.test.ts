/** S3 without keys: the token of a pod is shown to STS, whose credentials sign the requests. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { test } from 'node:test';
import { temporaryDirectory } from '@blindfit/testkit';
import { S3Bucket } from '../src/s3-bucket.ts';

const ROLE = 'arn:aws:iam::123456789012:role/blindfit';

const credentials = (key: string): string => `<AssumeRoleWithWebIdentityResponse
  xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleWithWebIdentityResult><Credentials>
  <AccessKeyId>${key}</AccessKeyId><SecretAccessKey>secret</SecretAccessKey><SessionToken>session</SessionToken>
  <Expiration>${new Date(Date.now() + 60_000).toISOString()}</Expiration>
  </Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`;

test('the token of the pod is exchanged for credentials, and read again before they end', async (t) => {
  const tokens: string[] = [];
  const keys: string[] = [];
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      if (request.method === 'POST') {
        const form = new URLSearchParams(body);
        assert.deepEqual([form.get('Action'), form.get('RoleArn')], ['AssumeRoleWithWebIdentity', ROLE]);
        tokens.push(String(form.get('WebIdentityToken')));
        response.setHeader('content-type', 'text/xml').end(credentials(`KEY${tokens.length}`));
        return;
      }
      keys.push(String(/Credential=([^/]+)/.exec(String(request.headers.authorization))?.[1]));
      assert.equal(request.headers['x-amz-security-token'], 'session');
      response.writeHead(404).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const file = join(await temporaryDirectory(t), 'token');
  await writeFile(file, 'first');
  const before = { ...process.env };
  t.after(() => (process.env = before));
  for (const name of ['AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_PROFILE'])
    Reflect.deleteProperty(process.env, name);
  Object.assign(process.env, {
    AWS_REGION: 'eu-central-1',
    AWS_ROLE_ARN: ROLE,
    AWS_WEB_IDENTITY_TOKEN_FILE: file,
    AWS_ENDPOINT_URL_STS: endpoint,
    AWS_EC2_METADATA_DISABLED: 'true',
  });
  const bucket = new S3Bucket({ bucket: 'blindfit', prefix: '', endpoint }, {});
  assert.equal(await bucket.head('a'), undefined);
  await writeFile(file, 'second');
  // The first ones end within five minutes, so they are replaced, which no request waits for.
  while (tokens.at(-1) !== 'second') assert.equal(await bucket.head('b'), undefined);
  assert.equal(tokens[0], 'first');
  assert.equal(keys[0], 'KEY1');
});
