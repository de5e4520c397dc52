import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { describe, it } from 'node:test';
import { Keys, TokenStore } from '../src/index.ts';
import { redis } from './support.ts';

let count = 0;
const open = (): { tokens: TokenStore; key: string } => {
  const keys = new Keys(`{tokens-${count++}}`);
  return { tokens: new TokenStore(redis(), keys), key: keys.tokens };
};

describe('tokens', () => {
  it('are found by their text, with tenant and scopes', async () => {
    const { tokens } = open();
    const made = await tokens.create({ tenant: 'a', scopes: ['read', 'submit'] });
    assert.match(made.token, /^blindfit_[0-9a-f]{16}_[\w-]{43}$/);
    const { token: _, ...view } = made;
    assert.deepEqual(await tokens.find(made.token), view);
    assert.deepEqual(view.scopes, ['submit', 'read']);
    assert.equal(view.tenant, 'a');
  });

  it('are kept as hashes', async () => {
    const { tokens, key } = open();
    const { token, id } = await tokens.create({ tenant: 'a', scopes: ['read'] });
    const secret = token.slice(-43);
    const kept = JSON.stringify(await redis().hgetall(key));
    assert.ok(!kept.includes(secret));
    assert.ok(kept.includes(createHash('sha256').update(secret).digest('hex')));
    assert.ok(kept.includes(id));
  });

  it('need their whole secret', async () => {
    const { tokens } = open();
    const one = await tokens.create({ tenant: 'a', scopes: ['read'] });
    const two = await tokens.create({ tenant: 'b', scopes: ['operate'] });
    const [prefix, id] = one.token.split('_');
    const other = two.token.slice(-43);
    for (const text of [
      '',
      `${prefix}_${id}_${other}`,
      `${prefix}_${id}_`,
      one.token.slice(0, -1),
      `${one.token}A`,
      ` ${one.token}`,
      `${one.token}\n`,
      one.token.toUpperCase(),
      `blindfit_${'0'.repeat(16)}_${other}`,
      `blindfit___proto__________${other}`,
    ])
      assert.equal(await tokens.find(text), undefined, text);
  });

  it('end when they are revoked, the others stay', async () => {
    const { tokens } = open();
    const one = await tokens.create({ tenant: 'a', scopes: ['read'] });
    const two = await tokens.create({ tenant: 'a', scopes: ['read'] });
    assert.equal(await tokens.revoke(one.id), true);
    assert.equal(await tokens.revoke(one.id), false);
    assert.equal(await tokens.find(one.token), undefined);
    assert.equal((await tokens.find(two.token))?.id, two.id);
  });

  it('end when they expire', async () => {
    const { tokens } = open();
    const past = await tokens.create({
      tenant: 'a',
      scopes: ['read'],
      expiresAt: new Date(Date.now() - 1).toISOString(),
    });
    const future = await tokens.create({
      tenant: 'a',
      scopes: ['read'],
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    });
    assert.equal(await tokens.find(past.token), undefined);
    assert.equal((await tokens.find(future.token))?.expiresAt, future.expiresAt);
    assert.deepEqual(new Set((await tokens.list()).map(({ id }) => id)), new Set([past.id, future.id]));
  });

  it('are listed newest first, without secrets', async () => {
    const { tokens } = open();
    const made = [];
    for (let i = 0; i < 3; i++) {
      made.push(await tokens.create({ tenant: `t${i}`, scopes: ['metrics'] }));
      const now = Date.now();
      while (Date.now() === now) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    const listed = await tokens.list();
    assert.deepEqual(
      listed.map(({ tenant }) => tenant),
      ['t2', 't1', 't0'],
    );
    assert.ok(listed.every((view) => !('hash' in view) && !('token' in view)));
  });
});
