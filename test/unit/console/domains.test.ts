/** Domains over the API: keys, records, and what the DNS has now. */
import { expect, onTestFinished, test } from 'vitest';
import { lookAtDomain } from '../../../src/control/domain-check.ts';
import { presentText } from '../../../src/dns/dns.ts';
import { startTestConsole } from '../../support/console.ts';
import { TEST_DELIVERY } from '../../support/control.ts';
import { startDns } from '../../support/dns.ts';
import { startDnsServer } from '../../support/dns-server.ts';
import { newMessage, put } from '../../support/store-rig.ts';

const HOST = 'relay.example.net';

async function rig() {
  const console = await startTestConsole();
  const dns = await startDns({ [HOST]: { A: ['203.0.113.5'] }, 'shop.test': { MX: ['10 mx.shop.test'] } });
  const delivery = { ...TEST_DELIVERY, source: ['203.0.113.5'], allowPrivate: ['203.0.113.0/24'] };
  console.set({ dns: { servers: [dns.server], trustAd: false }, delivery });
  const check = async () => (await console.ask('POST', '/domains/shop.test/check', {})).body;
  return {
    console,
    dns,
    check,
    [Symbol.asyncDispose]: () => Promise.all([console[Symbol.asyncDispose](), dns.close()]).then(() => {}),
  };
}

const of = (records: readonly any[], purpose: string) => records.filter((record) => record.purpose === purpose);

test('a domain is added with keys that sign at once, and its records are answered', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('POST', '/domains', { domain: 'Shop.Test', selector: 'mail' });
  expect(status).toBe(201);
  expect(body.items.map(({ name }: any) => name)).toEqual(['mail._domainkey.shop.test', 'mail-ed._domainkey.shop.test']);
  const { items } = (await console.ask('GET', '/domains')).body;
  expect(items).toMatchObject([{ domain: 'shop.test', keys: [{ state: 'active' }, { state: 'active' }] }]);
  expect((await console.ask('GET', '/domains/shop.test/records')).body.items).toHaveLength(2);
  expect((await console.ask('POST', '/domains', { domain: 'shop.test' })).status).toBe(409);
  expect((await console.ask('POST', '/domains/shop.test/rotate', {})).body.items).toHaveLength(2);
  expect(JSON.stringify((await console.ask('GET', '/domains')).body)).not.toContain('PRIVATE');
});

test('all wrong values of a new domain are told at once', async () => {
  await using console = await startTestConsole();
  const { status, body } = await console.ask('POST', '/domains', { domain: 'shop', key: 'x' });
  expect(status).toBe(422);
  expect(body.errors).toEqual([
    { pointer: '/domain', detail: 'domain must be a domain such as example.org, not "shop"' },
    { pointer: '/key', detail: 'key needs a selector' },
  ]);
  const broken = await console.ask('POST', '/domains', { domain: 'shop.test', selector: 's', key: 'x' });
  expect(broken.body.errors).toMatchObject([{ pointer: '/key' }]);
  expect((await console.ask('GET', '/domains/shop.test/records')).status).toBe(404);
});

test('a record that was changed in the DNS is seen by the next look, with the server that was asked', async () => {
  await using rigged = await rig();
  const { console, dns, check } = rigged;
  await console.ask('POST', '/domains', { domain: 'shop.test', selector: 'mail' });
  const before = await check();
  expect(before.asked).toEqual([dns.server]);
  expect(of(before.records, 'mx')).toMatchObject([{ answerer: { authoritative: false, unasked: 'unknown' } }]);
  expect(of(before.records, 'dkim')).toMatchObject([
    { found: [], result: 'error' },
    { found: [], result: 'error' },
  ]);
  expect(of(before.records, 'spf')).toMatchObject([{ wanted: `v=spf1 a:${HOST} ~all`, found: [], result: 'error' }]);
  expect(of(before.records, 'dmarc')).toMatchObject([
    { name: '_dmarc.shop.test', wanted: 'v=DMARC1; p=none', result: 'warning' },
  ]);
  expect(of(before.records, 'mx')).toMatchObject([{ found: ['10 mx.shop.test.'], wanted: null, result: 'ok' }]);

  for (const { name, wanted } of of(before.records, 'dkim')) dns.set(name, { TXT: [wanted] });
  dns.set('shop.test', { MX: ['10 mx.shop.test'], TXT: [`v=spf1 a:${HOST} ~all`] });
  dns.set('_dmarc.shop.test', { TXT: ['v=DMARC1; p=reject'] });
  const after = await check();
  expect(after.records.map(({ purpose, result }: any) => `${purpose} ${result}`)).toEqual([
    ...['dkim ok', 'dkim ok', 'spf ok', 'dmarc ok', 'mx ok'],
  ]);
  expect(of(after.records, 'dmarc')[0].wanted).toBe('v=DMARC1; p=reject');

  for (const { name } of of(before.records, 'dkim')) dns.set(name, undefined);
  expect(of((await check()).records, 'dkim')).toMatchObject([{ result: 'error' }, { result: 'error' }]);
});

test('the servers of the domain are asked, so that what a resolver has kept does not hide a change', async () => {
  const zone = await startDnsServer({ address: '127.0.0.53', zone: { '_dmarc.shop.test': { TXT: ['v=DMARC1; p=reject'] } } });
  const resolver = await startDnsServer({
    zone: {
      'shop.test': { NS: ['ns.shop.test'], MX: ['10 old.test'] },
      'ns.shop.test': { A: ['127.0.0.53'] },
      '_dmarc.shop.test': { TXT: ['v=DMARC1; p=none'] },
    },
    authoritative: false,
  });
  onTestFinished(async () => void (await Promise.all([zone.close(), resolver.close()])));
  const settings = {
    ...{ hostname: HOST, dns: { servers: [resolver.server], trustAd: false } },
    delivery: { ...TEST_DELIVERY, allowPrivate: ['127.0.0.0/8'] },
  };
  const look = () => lookAtDomain('shop.test', { settings, keys: [], now: Date.now, port: zone.port });
  const first = await look();
  const answerer = { server: '127.0.0.53', name: 'ns.shop.test', authoritative: true };
  expect(first.asked).toEqual(['ns.shop.test [127.0.0.53]']);
  expect(of(first.records, 'dmarc')).toMatchObject([{ found: ['v=DMARC1; p=reject'], answerer }]);
  expect(of(first.records, 'mx')).toMatchObject([{ found: [], answerer }]);
  zone.set('_dmarc.shop.test', { TXT: ['v=DMARC1; p=quarantine'] });
  expect(of((await look()).records, 'dmarc')).toMatchObject([{ found: ['v=DMARC1; p=quarantine'] }]);
});

test('copied lines have strings of at most 255 octets, and give the value again', async () => {
  await using rigged = await rig();
  const { console, dns } = rigged;
  await console.ask('POST', '/domains', { domain: 'shop.test', selector: 'mail' });
  dns.set('shop.test', { TXT: ['v=spf1 exp="a\\b\u00e9" -all'] });
  const { body } = await console.ask('GET', '/domains/shop.test/zone');
  const lines: readonly string[] = body.trimEnd().split('\n');
  const { records } = await rigged.check();
  const wanted = records.flatMap((record: any) => (record.wanted === null ? [] : [record]));
  expect(lines).toEqual(wanted.map(({ line }: any) => line));
  for (const [i, line] of lines.entries()) {
    const [, name, rest] = /^(\S+)\. 3600 IN TXT (.*)$/.exec(line)!;
    const strings = [...rest!.matchAll(/"((?:[^"\\]|\\\d{3}|\\.)*)"/g)].map(([, text]) => unescaped(text!));
    expect(rest!.replace(/"(?:[^"\\]|\\.)*"/g, '').trim()).toBe('');
    expect(Math.max(...strings.map(({ length }) => length))).toBeLessThanOrEqual(255);
    expect([name, presentText(Buffer.concat(strings).toString('latin1'))]).toEqual([wanted[i].name, wanted[i].wanted]);
  }
  expect(lines.join('')).toMatch(/^[ -~]*$/);
});

/** As RFC 1035 §5.1 says. */
function unescaped(text: string): Buffer {
  return Buffer.from(
    text.replace(/\\(\d{3}|.)/g, (_, code) => (code.length === 3 ? String.fromCharCode(Number(code)) : code)),
    'latin1',
  );
}

test('a domain whose signature is on queued mail is not removed by accident', async () => {
  await using console = await startTestConsole();
  await console.ask('POST', '/domains', { domain: 'shop.test', selector: 'mail' });
  const message = newMessage({ signatures: ['mail._domainkey.shop.test'] });
  await put(console.store, message);
  const refused = await console.ask('DELETE', '/domains/shop.test');
  expect(refused.status).toBe(409);
  expect(refused.body.detail).toContain(message.id);
  expect((await console.ask('GET', '/domains')).body.items[0].keys).toHaveLength(2);
  const forced = await console.ask('DELETE', '/domains/shop.test?force=true');
  expect(forced.body).toMatchObject({ removed: false, retiring: [{ selector: 'mail', state: 'retiring' }] });
});

test('a domain shows which credentials may send as it', async () => {
  await using rigged = await rig();
  const { console } = rigged;
  await console.ask('POST', '/domains', { domain: 'sub.shop.test' });
  const senders = {
    all: ['*'],
    exact: ['@sub.shop.test'],
    below: ['@.shop.test'],
    one: ['a@sub.shop.test'],
    other: ['@shop.test'],
  };
  for (const [name, rules] of Object.entries(senders))
    await console.ask('POST', '/credentials', { name, senders: rules, password: 'secret' });
  const { status } = await console.ask('GET', '/domains/sub.shop.test/records');
  expect(status).toBe(200);
  const found = await console.control.domains.senders('sub.shop.test');
  expect([...found].sort()).toEqual(['all', 'below', 'exact', 'one']);
});
