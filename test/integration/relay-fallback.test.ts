/** A whole relay whose mail takes the fallback upstream: with a valid signature, within its cap over a crash, and not where it would be a forgery. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { publish, type TxtRecords, txtRecords } from '../support/dkim-judges.ts';
import { verifyByMailauth } from '../support/dkim-verifiers.ts';
import { startDnsServer } from '../support/dns-server.ts';
import { type MxServer, startMxServer } from '../support/mx-server.ts';
import { loopbackAddress, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { submit } from '../support/smtp-send.ts';

const PASSWORD = 'green meadow 27/+=';
const BANNED = '550 5.7.1 Our list blocks your IP address [127.0.0.1], see example.org';
const CAP = 4;

let [relay, mx, upstream]: [RelayProcess, MxServer, MxServer] = [undefined!, undefined!, undefined!];
let keys: TxtRecords = {};
const closers: (() => unknown)[] = [];
afterAll(async () => {
  for (const close of closers.toReversed()) await close();
});

beforeAll(async () => {
  mx = await startMxServer({
    ...{ hostname: 'mx.dest.test', address: loopbackAddress() },
    script: { RCPT: ({ address }) => (address.endsWith('@blocked.test') ? BANNED : undefined) },
  });
  closers.push(() => mx.close());
  upstream = await startMxServer({ hostname: 'up.test', address: loopbackAddress() });
  closers.push(() => upstream.close());
  const zone = {
    'blocked.test': { MX: ['10 mx.blocked.test'] },
    'mx.blocked.test': { A: [mx.address] },
    'dest.test': { MX: ['10 mx.dest.test'] },
    'mx.dest.test': { A: [mx.address] },
    'spf.test': { TXT: [[`v=spf1 ip4:${upstream.address} -all`]] },
    'nothing.test': { TXT: [['v=spf1 ip4:192.0.2.1 -all']] },
    'signed.test': { TXT: [['v=spf1 ip4:192.0.2.1 -all']] },
  };
  const dns = await startDnsServer({ zone });
  closers.push(() => dns.close());
  const hosts = [`${upstream.address}:${upstream.port}`];
  const fallback = [{ hosts, tls: 'none', dailyCap: CAP, after: '0s' }];
  relay = await prepareRelay({
    ...{ dns: dns.server, deliveryPort: mx.port },
    settings: { operator: 'ops@dest.test', delivery: { port: mx.port, allowPrivate: ['127.0.0.0/8'], fallback } },
  });
  closers.push(() => relay.close());
  await relay.addUser('app@signed.test', PASSWORD, '--sender', '*');
  keys = txtRecords(await relay.addDomain('signed.test'));
  publish(dns, keys);
  await relay.start();
}, 120_000);

async function send(domain: string, to = 'u@blocked.test'): Promise<void> {
  const from = `a@${domain}`;
  const message = Buffer.from(`From: <${from}>\r\nTo: <${to}>\r\nSubject: ${domain}\r\n\r\nHello\r\n`);
  await submit({
    ...{ address: relay.address, port: relay.ports.submissions, user: 'app@signed.test', password: PASSWORD },
    ...{ from, to: to.split(','), message },
  });
}

type Shown = {
  readonly held: number;
  readonly fallback: { readonly used: number; readonly dailyCap: number; readonly state: string };
};
const shown = async () => JSON.parse(await relay.command(['provider', 'show', 'mx:mx.blocked.test', '--json'])) as Shown;
const subjects = () =>
  mx.messages.map(({ data }) => /^Subject: (.*)$/m.exec(data.toString().replace(/\r\n /g, ' '))?.[1]?.trim());

test('mail for a provider that refuses us leaves by the fallback with its signature valid, its cap outlives a crash, and forgeries wait', {
  timeout: 120_000,
}, async () => {
  await send('signed.test', 'u@blocked.test,v@dest.test');
  const [signed] = await upstream.received(1, 30_000);
  expect(signed!.recipients.map(({ address }) => address)).toEqual(['u@blocked.test']);
  expect(signed!.mailFrom).toBe('a@signed.test');
  expect((await verifyByMailauth(signed!.data, keys)).some((found) => /signed\.test \S+ pass$/.test(found))).toBe(true);
  const log = await relay.event('relayed', ({ recipient }) => recipient === 'u@blocked.test');
  expect(log).toMatchObject({ via: 'fallback', mx: upstream.address });
  expect(await relay.command(['trace', String(log['queueId'])])).toContain('(fallback)');
  await relay.event('relayed', ({ recipient, via }) => recipient === 'v@dest.test' && via === undefined);

  await send('spf.test');
  await upstream.received(2, 30_000);
  await send('nothing.test');
  expect(await relay.event('fallbackNotAllowed')).toMatchObject({ domain: 'nothing.test', reason: 'alignment' });
  await until('a notice', () => subjects().some((subject) => subject?.includes('nothing.test for mx.blocked.test waits')));

  await send('signed.test');
  await upstream.received(3, 30_000);
  await until('its result is stored', () => relay.events('relayed').filter(({ via }) => via === 'fallback').length === 3);
  expect(await relay.stop('SIGKILL')).toBe('SIGKILL');
  await relay.start();
  await send('signed.test');
  await upstream.received(CAP, 30_000);
  await send('signed.test');
  expect(await relay.event('fallbackFull')).toMatchObject({ cap: CAP });
  await until('held', async () => (await shown()).held === 2, { deadline: 30_000 });
  expect((await shown()).fallback).toMatchObject({ used: CAP, dailyCap: CAP, state: 'open' });
  expect(upstream.count()).toBe(CAP);
  await until('a notice of the cap', () => subjects().some((subject) => subject?.includes('has taken its mail for today')));
  expect(subjects().filter((subject) => /returned|failed|could not/i.test(subject ?? ''))).toEqual([]);
});
