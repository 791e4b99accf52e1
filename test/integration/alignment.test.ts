/** Mail that receivers will not believe, in a whole relay: RFC 9989 §5.3. With TEST_THREADS too. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, onTestFinished, test } from 'vitest';
import { openStore, type StoredSenderVerdict } from '../../src/store/store.ts';
import { HOUR, MINUTE } from '../../src/system/clock.ts';
import { openClient, startTestRelay, type TestRelay, type TestRelayOptions, USER } from '../support/relay.ts';

let relay: TestRelay | undefined;
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});

const OPERATOR = 'ops@dest.test';
const TEXT = `From: ${USER}\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
const POLICY = { '_dmarc.sender.test': { TXT: ['v=DMARC1; p=reject'] } };

/** The relay has keys of the domain, and the DNS has not. */
async function start(options: TestRelayOptions = {}) {
  relay = await startTestRelay({ ...options, zone: { ...POLICY, ...options.zone } });
  return relay;
}

async function folder(): Promise<string> {
  const dataDir = await mkdtemp(join(tmpdir(), 'smarthost-test-'));
  onTestFinished(() => rm(dataDir, { recursive: true }));
  return dataDir;
}

async function unpublish({ dns }: TestRelay): Promise<void> {
  for (const name of await keyNames()) dns.set(name, {});
}

async function keyNames(): Promise<readonly string[]> {
  const store = await openStore({ store: 'sqlite', dataDir: relay!.dataDir });
  const keys = await store.operation.dkimKeys('sender.test');
  await store.close();
  const rsaFirst = keys.toSorted((a, b) => (a.algorithm < b.algorithm ? 1 : -1));
  return rsaFirst.map(({ selector, domain }) => `${selector}._domainkey.${domain}`);
}

async function send(port: number, text = TEXT): Promise<string> {
  const client = await openClient(port, { tls: true });
  await client.login();
  const reply = await client.message({ text });
  client.close();
  return reply;
}

async function stored(dataDir: string, change?: (row: StoredSenderVerdict) => StoredSenderVerdict) {
  const store = await openStore({ store: 'sqlite', dataDir });
  const rows = await store.alignment.verdicts(0, 10);
  if (change !== undefined) await store.alignment.putVerdicts(rows.map(change));
  await store.close();
  return rows;
}

test('`warn`: the mail goes, and the operator gets one notice in a day, also after a restart', async () => {
  const dataDir = await folder();
  const options = { dataDir, yaml: `operator: ${OPERATOR}` };
  const { ports, logged, mx } = await start(options);
  await unpublish(relay!);
  expect(await send(ports.submissions)).toMatch(/^250 /);
  expect(await logged('misaligned')).toMatchObject({ domain: 'sender.test', verdict: 'rejected', user: USER });
  await mx.received(2);
  const notice = mx.messages.find(({ recipients }) => recipients[0]!.address === OPERATOR)!;
  const text = notice.data.toString().replace(/=\r\n/g, '');
  expect(text).toMatch(/^Subject: relay\.test: mail from sender\.test fails DMARC\r$/m);
  expect(text).toMatch(/^DKIM-Signature: [\s\S]*d=relay\.test/m);
  expect(text).toContain(`Publish this TXT record of ${(await keyNames())[0]}:`);
  expect(text).toContain('_dmarc.sender.test: v=DMARC1; p=reject');
  expect(await send(ports.submissions)).toMatch(/^250 /);
  await mx.received(3);
  await relay!.close();

  expect(await stored(dataDir)).toMatchObject([{ domain: 'sender.test', envelope: 'sender.test', verdict: 'rejected' }]);
  const again = await start(options);
  await unpublish(again);
  const asked = again.dns.queries.length;
  expect(await send(again.ports.submissions)).toMatch(/^250 /);
  await again.mx.received(1);
  expect(again.dns.queries.slice(asked).filter((question) => question.includes('_dmarc'))).toEqual([]);
  expect(again.log.filter(({ event }) => event === 'misaligned')).toEqual([]);
});

test('`refuse`: with two evaluations that agree, the reply names what to publish, and nothing is stored', async () => {
  const dataDir = await folder();
  await start({ dataDir });
  await unpublish(relay!);
  await send(relay!.ports.submissions);
  await relay!.logged('misaligned');
  await relay!.close();
  await stored(dataDir, (row) => ({ ...row, since: row.at - 10 * MINUTE }));

  const { ports, logged } = await start({ dataDir, yaml: 'alignment: { mode: refuse }' });
  await unpublish(relay!);
  const reply = await send(ports.submissions);
  expect(reply).toMatch(
    /^550-5\.7\.26 Receivers would refuse this mail From sender\.test, by the DMARC record of sender\.test: v=DMARC1/,
  );
  expect(reply).toContain(`550-5.7.26 Publish this TXT record of ${(await keyNames())[0]}:\r\n550-5.7.26 v=DKIM1; k=rsa; p=`);
  expect(reply.split('\r\n').every((line) => line.length <= 510)).toBe(true);
  expect(await logged('refused')).toMatchObject({ code: 550, status: '5.7.26', user: USER });
  expect(relay!.log.filter(({ event }) => event === 'accepted')).toEqual([]);
});

test('`refuse`: an old verdict is asked for again before the reply', async () => {
  const dataDir = await folder();
  await start({ dataDir });
  await unpublish(relay!);
  await send(relay!.ports.submissions);
  await relay!.logged('misaligned');
  await relay!.close();
  await stored(dataDir, (row) => ({ ...row, since: row.at - 3 * HOUR, at: row.at - 2 * HOUR, refreshAt: row.at + HOUR }));

  const { ports } = await start({ dataDir, yaml: 'alignment: { mode: refuse }' });
  await unpublish(relay!);
  expect(await send(ports.submissions)).toMatch(/^550-5\.7\.26 /);
});

test('`refuse`: while the DNS does not answer, mail is accepted', async () => {
  const { ports } = await start({
    yaml: 'alignment: { mode: refuse }',
    zone: { '_dmarc.sender.test': { fault: 'servfail' } },
  });
  await unpublish(relay!);
  expect(await send(ports.submissions)).toMatch(/^250 /);
});

test('a rule for the credential turns it off, and nothing is asked', async () => {
  const { ports, dns, mx, logged } = await start({ yaml: `alignment: { rules: [{ user: '${USER}', mode: 'off' }] }` });
  await unpublish(relay!);
  expect(await send(ports.submissions)).toMatch(/^250 /);
  await mx.received(1);
  await logged('relayed');
  expect(dns.queries.filter((question) => question.includes('_dmarc'))).toEqual([]);
});
