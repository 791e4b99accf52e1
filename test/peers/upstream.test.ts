/** chasquid as an upstream smart host: mail goes through a route, with a login, over TLS that is verified. RFC 4954, RFC 8314. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Chasquid, hasChasquid, startChasquid } from '../support/chasquid.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { freePort, loopbackAddress, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { submit } from '../support/smtp-send.ts';
import { type NameServer, startUnbound } from '../support/unbound.ts';

const FROM = 'anna@chasquid.test';
const PASSWORD = 'correct horse';
const present = [requirePeer('chasquid', hasChasquid()), requirePeer('unbound', hasCommand('unbound'))].every(Boolean);

let unbound: NameServer;
let chasquid: Chasquid;
let relay: RelayProcess;

beforeAll(async () => {
  if (!present) return;
  const address = loopbackAddress();
  const port = await freePort(address);
  const names = ['mx.chasquid.test', 'other-name.chasquid.test'].map((name) => `${name}. 60 IN A ${address}`);
  unbound = await startUnbound({ port: 53, records: names });
  const users = ['anna', 'starttls', 'implicit', 'misnamed', 'refused'];
  const hostname = 'mx.chasquid.test';
  const where = { address, port, nameserver: unbound.address };
  chasquid = await startChasquid({ ...where, hostname, domain: 'chasquid.test', users, password: 'upstream secret' });
  const login = { user: FROM, password: 'upstream secret' };
  relay = await prepareRelay({
    dns: `${unbound.address}:${unbound.port}`,
    deliveryPort: 9, // what is not routed goes nowhere
    env: { NODE_EXTRA_CA_CERTS: chasquid.certificate },
    settings: {
      // tls is absent: an upstream is verified
      routes: [
        { user: 'by-starttls', hosts: ['mx.chasquid.test:587'], login },
        { user: 'by-implicit', hosts: ['mx.chasquid.test:465'], login },
        { user: 'by-other-name', hosts: ['other-name.chasquid.test:587'], login },
        {
          user: 'by-wrong-password',
          hosts: ['mx.chasquid.test:587'],
          login: { user: 'refused@chasquid.test', password: 'wrong' },
        },
      ],
    },
  });
  for (const user of ['by-starttls', 'by-implicit', 'by-other-name', 'by-wrong-password'])
    await relay.addUser(user, PASSWORD, '--sender', FROM);
  await relay.start();
});
afterAll(async () => {
  await relay?.close();
  await chasquid?.close();
  await unbound?.close();
});

/** @returns the queue id */
async function send(user: string, to: string, token: string): Promise<string> {
  const message = `From: <${FROM}>\r\nTo: <${to}>\r\nSubject: ${token}\r\n\r\nHello\r\n`;
  const account = { address: relay.address, port: relay.ports.submissions, user, password: PASSWORD };
  return /queued as (\w+)/.exec(await submit({ ...account, from: FROM, to: [to], message }))![1]!;
}

const find = (token: string) => chasquid.mailbox().find(({ message }) => message.includes(token));
const context = () => relay.output().slice(-3000) + chasquid.output().slice(-3000);

describe.skipIf(!present)('chasquid as upstream', () => {
  test.each([
    ['by-starttls', 'starttls@chasquid.test'],
    ['by-implicit', 'implicit@chasquid.test'],
  ])('takes the mail of %s', async (user, to) => {
    const token = randomUUID();
    const queueId = await send(user, to, token);
    const mail = await until('mail at the upstream', () => find(token), { context });
    expect(mail).toMatchObject({ recipient: to, reversePath: FROM });
    const relayed = await relay.event('relayed', (event) => event['queueId'] === queueId);
    expect(relayed).toMatchObject({ mx: 'mx.chasquid.test', tls: 'TLSv1.3', code: 250 });
  });

  test.each([
    ['a certificate with another name', 'by-other-name', 'misnamed@chasquid.test'],
    ['a login that is refused', 'by-wrong-password', 'refused@chasquid.test'],
  ])('%s delays the mail, and nothing is sent', async (_, user, to) => {
    const token = randomUUID();
    const queueId = await send(user, to, token);
    const delayed = await relay.event('delayed', (event) => event['queueId'] === queueId, 15_000);
    expect(String(delayed['status'])).toMatch(/^4\.7\./);
    expect(find(token)).toBeUndefined();
    await relay.command(['queue', 'remove', queueId]);
  });
});
