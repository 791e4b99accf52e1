/** A message on its way to one good MX. */
import { afterEach, expect, test } from 'vitest';
import { inline, startTestDelivery, type TestDelivery, zoneFor } from '../support/delivery.ts';
import { startDns } from '../support/dns.ts';
import type { DnsServer } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxServer, MxServerOptions } from '../support/mx-server.ts';

const open: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  for (const part of open.splice(0).reverse()) await part.close();
});

async function setUp(options: Partial<MxServerOptions> = {}, delivery: Parameters<typeof startTestDelivery>[1] = {}) {
  const mx: MxServer = await startMx(options);
  const dns: DnsServer = await startDns(zoneFor('good.test', mx));
  const relay: TestDelivery = await startTestDelivery(dns, { port: mx.port, ...delivery });
  open.push(mx, dns, relay);
  return { mx, dns, relay };
}

test('a message arrives byte for byte, with an outcome that says where it went', async () => {
  const { mx, relay } = await setUp();
  const text = 'Subject: x\r\n\r\n.\r\n..two\r\n.three\r\nno dot.\r\n\r\n.';
  const [outcome] = await relay.send('bob@good.test', { text });
  expect(outcome).toMatchObject({
    kind: 'relayed',
    mx: 'mx.good.test',
    ip: '127.0.0.1',
    reply: { code: 250, status: '2.0.0' },
    dsnPassedOn: true,
  });
  expect(outcome!.tls).toBeUndefined();
  const [message] = await mx.received(1);
  expect(message!.data.toString()).toBe(`${text}\r\n`);
  expect(message).toMatchObject({
    mailFrom: 'alice@sender.test',
    helo: 'relay.example.net',
    recipients: [{ address: 'bob@good.test' }],
  });
});

test('a connection is used for many messages', async () => {
  const { mx, relay } = await setUp();
  for (let i = 0; i < 5; i++) await relay.send('bob@good.test', { content: inline(`n: ${i}\r\n\r\n${i}\r\n`) });
  expect(mx.count()).toBe(5);
  expect(mx.sessions()).toBe(1);
  expect(mx.commands.filter((line) => line.includes('RSET'))).toEqual([]);
});
