/** The steps of the first run, with a DNS of their own. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeEach, expect, onTestFinished, test } from 'vitest';
import { openFirstRun } from '../../../src/setup/setup.ts';
import { writeConfiguration } from '../../../src/setup/write.ts';
import type { Store } from '../../../src/store/store.ts';
import { startDns } from '../../support/dns.ts';
import type { DnsServer } from '../../support/dns-server.ts';
import { startMx } from '../../support/mx.ts';
import { dataDir, testStore } from '../../support/store-rig.ts';

let dns: DnsServer;
let store: Store;
let file: string;
beforeEach(async () => {
  dns = await startDns({
    'relay.example.net': { A: ['203.0.113.5'] },
    '203.0.113.5': { PTR: ['vps17.hoster.example'] },
    'shop.test': { TXT: ['v=spf1 mx -all', 'something else'] },
    '_dmarc.shop.test': { TXT: ['v=DMARC1; p=reject'] },
  });
  onTestFinished(() => dns.close());
  store = await testStore();
  file = join(dataDir(), 'smarthost.yaml');
});

const open = (env: Record<string, string> = {}) =>
  openFirstRun({
    ...{ store, file, dataDir: './data', cwd: '/', start: 'here' },
    env: { SMARTHOST_DNS_SERVERS: dns.server, SMARTHOST_DELIVERY_ALLOW_PRIVATE: '127.0.0.0/8', ...env },
    write: async (text) => void (await writeConfiguration(file, text, { owner: undefined, replace: false })),
  });

const MACHINE = { hostname: 'relay.example.net', addresses: ['203.0.113.5'] };
const CERTIFICATE = { acceptTerms: true, challenge: 'http-01', email: 'admin@example.net' } as const;

test('all wrong answers of a step are told at once, with the sentences of the configuration, and nothing is kept', async () => {
  const run = await open();
  await expect(run.setMachine({ hostname: 'relay', addresses: ['203.0.113.5', 'here', 'there'] })).rejects.toMatchObject({
    wrong: [{ field: 'hostname' }, { field: 'addresses/1' }, { field: 'addresses/2' }],
  });
  await expect(run.setDomains(['', ' '])).rejects.toMatchObject({ wrong: [{ field: 'domains' }] });
  await expect(run.setDomains(['shop.test', 'not a domain'])).rejects.toMatchObject({ wrong: [{ field: 'domains/1' }] });
  await expect(run.setCertificate({ ...CERTIFICATE, email: 'nobody' })).rejects.toMatchObject({ wrong: [{ field: 'email' }] });
  await expect(run.setUpstream({ host: 'a b', user: '', password: 'x\n' })).rejects.toMatchObject({
    wrong: [{ field: 'host' }, { field: 'user' }, { field: 'password' }],
  });
  await expect(run.finish()).rejects.toMatchObject({
    wrong: [{ field: 'hostname' }, { field: 'domains' }, { field: 'acceptTerms' }],
  });
  expect((await run.show()).answers).toEqual({});
});

test('each answer is compared with the DNS as it is now', async () => {
  const run = await open();
  const seen = await run.setMachine(MACHINE);
  expect(seen).toContainEqual(
    expect.objectContaining({ result: 'ok', sentence: expect.stringContaining('A of relay.example.net: 203.0.113.5') }),
  );
  expect(seen).toContainEqual(
    expect.objectContaining({ result: 'warning', sentence: expect.stringContaining('vps17.hoster.example') }),
  );
  dns.set('203.0.113.5', { PTR: ['relay.example.net'] });
  expect((await run.setMachine(MACHINE)).every(({ result }) => result === 'ok')).toBe(true);
});

test('records are shown with their state, and become right when the DNS has them', async () => {
  const run = await open();
  await run.setMachine(MACHINE);
  await run.setDomains(['shop.test', 'new.test', 'shop.test']);
  const { groups, zone } = await run.records();
  const records = groups.flatMap((group) => group.records);
  const stateOf = (name: string, begin = '') =>
    records.filter((record) => record.name === name && record.value.startsWith(begin)).map(({ state }) => state);
  expect(stateOf('relay.example.net', '203')).toEqual(['ok']);
  expect(stateOf('5.113.0.203.in-addr.arpa')).toEqual(['other']);
  expect(stateOf('shop.test')).toEqual(['other']);
  expect(stateOf('_dmarc.shop.test')).toEqual([]);
  expect(stateOf('new.test')).toEqual(['missing']);
  const keys = records.filter(({ name }) => name.endsWith('_domainkey.shop.test'));
  expect(keys.map(({ state }) => state)).toEqual(['missing', 'missing']);
  expect(zone).toContain('shop.test. 3600 IN TXT "v=spf1 mx a:relay.example.net -all"');
  for (const { name, value } of keys) dns.set(name, { TXT: [value] });
  dns.set('shop.test', { TXT: ['v=spf1 mx a:relay.example.net -all'] });
  const now = (await run.records()).groups.flatMap((group) => group.records);
  expect(now.filter(({ name }) => name.endsWith('shop.test')).map(({ state }) => state)).toEqual(['ok', 'ok', 'ok']);
});

test('the file has all answers, and is never written over another one', async () => {
  const run = await open();
  await run.setMachine(MACHINE);
  await run.setDomains(['shop.test']);
  await run.setCertificate({ ...CERTIFICATE, challenge: 'tls-alpn-01' });
  await run.setUpstream({ host: 'smtp.example.com', user: "o'neil", password: 'p: #x' });
  await writeFile(file, 'hostname: mine.example.net\n');
  await expect(run.finish()).rejects.toThrow('exists already');
  expect(await readFile(file, 'utf8')).toBe('hostname: mine.example.net\n');
  file = join(dataDir(), 'other.yaml');
  const again = await open();
  expect(await again.finish()).toEqual({ file, start: 'here' });
  const { loadConfig } = await import('../../../src/config/config.ts');
  const loaded = await loadConfig({ file, env: {}, cwd: '/' });
  expect(loaded).toMatchObject({
    config: {
      hostname: 'relay.example.net',
      operator: 'admin@example.net',
      tls: { mode: 'acme', acme: { acceptTerms: true, challenge: 'tls-alpn-01', email: 'admin@example.net' } },
      routes: [{ hosts: ['smtp.example.com:587'], login: { user: "o'neil", password: 'p: #x' } }],
    },
  });
});

test('answers are there again after an interruption, without the password', async () => {
  const before = await open();
  await before.setMachine(MACHINE);
  await before.setDomains(['shop.test', 'new.test']);
  await before.setUpstream({ host: 'smtp.example.com:465', user: 'relay', password: 'secret' });
  const run = await open();
  expect((await run.show()).answers).toEqual({
    ...MACHINE,
    domains: ['shop.test', 'new.test'],
    upstream: { host: 'smtp.example.com:465', user: 'relay', password: '' },
  });
  await run.setDomains(['new.test']);
  expect((await run.control.domains.list()).map(({ domain }) => domain).sort()).toEqual(['new.test', 'relay.example.net']);
});

test('a provider is tried by its login, and its refusal is told in its words', async () => {
  const refuses = await startMx({ script: { AUTH: '535 5.7.8 Bad credentials' } });
  onTestFinished(() => refuses.close());
  const run = await open();
  const { ok, sentence } = await run.tryUpstream({ host: `127.0.0.1:${refuses.port}`, user: 'relay', password: 'secret' });
  expect([ok, sentence]).toEqual([false, expect.stringMatching(/TLS/)]);
  expect((await run.show()).answers).toEqual({});
});

test('port 25 that nobody answers is told with what to do', async () => {
  dns.set('big.test', { MX: ['10 mx.big.test'] });
  dns.set('mx.big.test', { A: ['127.0.0.1'] });
  const run = await open({ SMARTHOST_DOCTOR_DESTINATIONS: 'big.test', SMARTHOST_DELIVERY_PORT: '9' });
  const [v4] = await run.wayOut();
  expect(v4).toMatchObject({ result: 'error', found: expect.stringContaining('ECONNREFUSED'), advice: expect.any(String) });
});
