/** `smarthost domain …` on a real store. */
import { generateKeyPairSync } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { aMessage, type CommandBench, createCommandBench } from '../support/command.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench("dns: { servers: ['127.0.0.1:9'] }");
});
afterEach(() => bench.close());

const LINE = /^\S+\._domainkey\.example\.org\. \d+ IN TXT ("[^"]{1,255}" ?)+$/;

test('add makes an RSA and an Ed25519 key and prints their records; records prints them again', async () => {
  const { code, out } = await bench.run(['domain', 'add', 'Example.org']);
  expect(code).toBe(0);
  const lines = out.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  for (const line of lines) expect(line).toMatch(LINE);
  expect((await bench.run(['domain', 'records', 'example.org'])).out.split('\n').sort()).toEqual(out.split('\n').sort());
});

test('records --json has whole, unquoted values that equal the text', async () => {
  await bench.run(['domain', 'add', 'example.org', '--selector', 'mail']);
  const records = await bench.json('domain', 'records', 'example.org');
  expect(records.map(({ name, type }: { name: string; type: string }) => `${name} ${type}`).sort()).toEqual([
    'mail-ed._domainkey.example.org TXT',
    'mail._domainkey.example.org TXT',
  ]);
  const { out } = await bench.run(['domain', 'records', 'example.org']);
  for (const record of records) {
    expect(Object.keys(record)).toEqual(['name', 'type', 'ttl', 'value']);
    const line = out.split('\n').find((one) => one.startsWith(`${record.name}. ${record.ttl} `))!;
    expect([...line.matchAll(/"([^"]*)"/g)].map(([, part]) => part).join('')).toBe(record.value);
  }
});

test.each(['pkcs1', 'pkcs8'] as const)('add --key takes over a key in %s form', async (type) => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(join(bench.folder, 'mail.private'), privateKey.export({ type, format: 'pem' }));
  const records = await bench.json('domain', 'add', 'example.org', '--selector', 'mail', '--key', 'mail.private');
  expect(records).toHaveLength(1);
  expect(records[0].name).toBe('mail._domainkey.example.org');
  expect(records[0].value).toContain(publicKey.export({ type: 'spki', format: 'der' }).toString('base64'));
});

test('a domain that exists, and one that does not, are failures', async () => {
  await bench.run(['domain', 'add', 'example.org']);
  expect(await bench.run(['domain', 'add', 'EXAMPLE.org'])).toMatchObject({
    code: 1,
    err: expect.stringMatching(/exists already.*domain rotate/),
  });
  for (const word of ['show', 'records', 'rotate', 'remove']) {
    const { code, err } = await bench.run(['domain', word, 'example.net']);
    expect([code, err]).toEqual([1, 'No domain named example.net. `smarthost domain list` shows them.\n']);
  }
});

test.each([
  [['domain', 'add', 'org'], 2, /DOMAIN must be/],
  [['domain', 'add', 'example.org', '--key', 'x'], 2, /--key needs --selector/],
  [['domain', 'add', 'example.org', '--selector', 'a b'], 2, /selector/],
  [['domain', 'add', 'example.org', '--selector', 's', '--key', 'missing'], 1, /missing cannot be read/],
  [['domain', 'add', 'example.org', '--selector', 's', '--key', 'smarthost.yaml'], 2, /--key .*not a private key/],
])('%j fails with %i', async (args, code, sentence) => {
  const result = await bench.run(args);
  expect([result.code, result.out]).toEqual([code, '']);
  expect(result.err).toMatch(sentence);
});

test('the first keys sign at once, their successors wait for the DNS', async () => {
  const states = async () => (await bench.json('domain', 'list'))[0].keys.map(({ state }: { state: string }) => state).sort();
  expect((await bench.run(['domain', 'add', 'example.org'])).err).toMatch(/signed from now on/);
  expect(await states()).toEqual(['active', 'active']);
  expect((await bench.run(['domain', 'rotate', 'example.org'])).err).toMatch(/as soon as it sees them/);
  expect(await states()).toEqual(['active', 'active', 'pending', 'pending']);
});

test('rotate adds new keys beside the old ones, twice a day too', async () => {
  await bench.run(['domain', 'add', 'example.org']);
  for (const keys of [4, 6]) {
    expect((await bench.run(['domain', 'rotate', 'example.org'])).code).toBe(0);
    expect(await bench.json('domain', 'records', 'example.org')).toHaveLength(keys);
  }
  const [{ domain, keys }] = await bench.json('domain', 'list');
  expect(domain).toBe('example.org');
  expect(new Set(keys.map(({ selector }: { selector: string }) => selector)).size).toBe(6);
  expect(Object.keys(keys[0])).toEqual(['selector', 'algorithm', 'state', 'createdAt']);
});

test('show says what the DNS has, also if the DNS does not answer', async () => {
  await bench.run(['domain', 'add', 'example.org']);
  const shown = await bench.json('domain', 'show', 'example.org');
  expect(shown.keys.map(({ published }: { published: string }) => published)).toEqual(['unknown', 'unknown']);
});

test('remove keeps a key whose signature is on queued mail, and removes it when that mail has ended', async () => {
  await bench.run(['domain', 'add', 'example.org', '--selector', 'mail']);
  const message = aMessage(['bob@example.com'], { signatures: ['mail._domainkey.example.org'] });
  await bench.withStore(({ messages }) => messages.accept({ message }));
  const first = await bench.run(['domain', 'remove', 'example.org', '--json']);
  expect(first.code).toBe(0);
  expect(first.err).toMatch(/Queued mail carries.*mail.*leave the DNS record/);
  expect(JSON.parse(first.out)).toMatchObject({ removed: false, retiring: [{ selector: 'mail', state: 'retiring' }] });
  await bench.withStore(({ messages }) => messages.remove({ all: true }, Date.now()));
  expect(await bench.json('domain', 'remove', 'example.org')).toMatchObject({ removed: true, retiring: [] });
  expect(await bench.json('domain', 'list')).toEqual([]);
});
