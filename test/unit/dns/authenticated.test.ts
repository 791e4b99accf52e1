/** Whether a resolver validates: the AD bit of its answer, told apart from failure and silence. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { askValidated } from '../../../src/dns/dns.ts';
import { startDns } from '../../support/dns.ts';
import { saying } from '../../support/phrases.ts';

async function ask(name: string, ...before: readonly string[]) {
  const dns = await startDns({
    'signed.test': { A: ['192.0.2.1'], secure: true },
    'plain.test': { A: ['192.0.2.1'] },
    'broken.test': { fault: 'servfail' },
    'closed.test': { fault: 'refused' },
    'mute.test': { fault: 'timeout' },
    'garbage.test': { fault: 'garbage' },
    'other.test': { fault: 'wrong-id' },
  });
  onTestFinished(() => dns.close());
  return askValidated({ name, type: 'A', servers: [...before, dns.server], timeout: 300 });
}

test.each([
  ['signed.test', { kind: 'answered', authenticated: true }],
  ['plain.test', { kind: 'answered', authenticated: false }],
  ['nobody.test', { kind: 'answered', authenticated: false }],
  ['broken.test', { kind: 'failed', why: saying('SERVFAIL') }],
  ['closed.test', { kind: 'failed', why: saying('REFUSED') }],
  ['mute.test', { kind: 'silent', why: saying(/does not answer$/) }],
  ['garbage.test', { kind: 'silent' }],
  ['other.test', { kind: 'silent' }],
])('%s', async (name, wanted) => {
  expect(await ask(name)).toMatchObject(wanted);
});

test('the root can be asked for like any other name', async () => {
  const dns = await startDns({ 'plain.test': { A: ['192.0.2.1'] } });
  onTestFinished(() => dns.close());
  const answer = await askValidated({ name: '.', type: 'SOA', servers: [dns.server], timeout: 20_000 });
  expect(answer).toMatchObject({ kind: 'answered', server: dns.server });
});

test('the next server is asked if the first is silent or gone', async () => {
  const mute = createSocket('udp4').bind(0, '127.0.0.1');
  await once(mute, 'listening');
  onTestFinished(() => void mute.close());
  expect(await ask('signed.test', '127.0.0.1:1', `127.0.0.1:${mute.address().port}`)).toMatchObject({
    kind: 'answered',
    authenticated: true,
  });
  expect(await askValidated({ name: '.', type: 'SOA', servers: ['127.0.0.1:1'], timeout: 300 })).toMatchObject({
    kind: 'silent',
  });
});
