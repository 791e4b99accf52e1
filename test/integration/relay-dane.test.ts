/** DANE in a whole relay: what an operator sees of it, and of a resolver that stops validating. RFC 7672. */
import { expect, onTestFinished, test } from 'vitest';
import { describeMessage } from '../../src/commands/message-text.ts';
import { makeHost, served, tlsaOf } from '../support/chains.ts';
import { openClient, startTestRelay, USER } from '../support/relay.ts';

const ROOT = { mname: 'a.root.test', rname: 'b.root.test' };

test('log, trace and metrics say what a session was worth, and mail flows without DANE if the resolver stops validating', async () => {
  const own = await makeHost({ names: ['mx.dest.test'] });
  const relay = await startTestRelay({ mx: { tls: served(own) }, zone: { '.': { SOA: ROOT, secure: true } } });
  onTestFinished(() => relay.close());
  const { dns, mx, ports, logged, control } = relay;
  dns.set('dest.test', { MX: ['10 mx.dest.test'], secure: true });
  dns.set('mx.dest.test', { A: ['127.0.0.1'], secure: true });
  dns.set(`_${mx.port}._tcp.mx.dest.test`, { TLSA: [tlsaOf(3, 1, 1, own)], secure: true });
  const client = await openClient(ports.submissions, { tls: true });
  expect(await client.login()).toMatch(/^235 /);
  const text = `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
  const metrics = async () => (await fetch(`http://127.0.0.1:${ports.admin}/metrics`)).text();

  await client.message({ text });
  const proof = `TLSA ${tlsaOf(3, 1, 1, own).toUpperCase().slice(0, 22)}… of mx.dest.test`;
  expect(await logged('relayed')).toMatchObject({ mx: 'mx.dest.test', tls: 'TLSv1.3', assurance: 'dane', proof });
  const [traced] = await control.trace.find('anna@dest.test', 1);
  expect(traced!.recipients[0]!.attempts).toMatchObject([{ outcome: 'relayed', assurance: 'dane', proof }]);
  expect(describeMessage(traced!, {})).toContain(`TLSv1.3 (dane: ${proof}) in `);
  expect(await metrics()).toMatch(/^smarthost_dane_decisions_total\{result="verified"\} 1$/m);
  expect(await metrics()).toMatch(/^smarthost_tls_sessions_total\{assurance="dane",version="TLSv1.3"\} 1$/m);
  expect(await metrics()).toMatch(/^smarthost_dnssec_trusted 1$/m);

  dns.set('.', { SOA: ROOT });
  await relay.reload();
  await logged('dnssecLost');
  expect(await metrics()).toMatch(/^smarthost_dnssec_trusted 0$/m);
  await client.message({ text });
  expect(await logged('relayed', ({ assurance }) => assurance === 'tls')).toMatchObject({ tls: 'TLSv1.3' });
  client.close();
});

test('the notice of a delay says in words for the postmaster of the domain what its host does not meet', async () => {
  const [own, other] = await Promise.all([makeHost({ names: ['mx.bad.test'] }), makeHost({ names: ['mx.bad.test'] })]);
  const relay = await startTestRelay({
    mx: { tls: served(own) },
    zone: { '.': { SOA: ROOT, secure: true } },
    yaml: 'queue: { delayWarning: 1s, retry: [2s, 1h] }',
  });
  onTestFinished(() => relay.close());
  const { dns, mx, ports } = relay;
  dns.set('bad.test', { MX: ['10 mx.bad.test'], secure: true });
  dns.set('mx.bad.test', { A: ['127.0.0.1'], secure: true });
  dns.set(`_${mx.port}._tcp.mx.bad.test`, { TLSA: [tlsaOf(3, 1, 1, other)], secure: true });
  const client = await openClient(ports.submissions, { tls: true });
  await client.login();
  await client.message({
    to: ['anna@bad.test'],
    text: `From: ${USER}\r\nTo: anna@bad.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`,
  });
  client.close();
  const [notice] = await mx.received(1);
  const report = notice!.data.toString();
  expect(report).toMatch(/^To: .*app@sender\.test/m);
  expect(report).toMatch(/^Action: delayed\r$/m);
  const unfolded = report.replace(/\r\n[ \t]+/g, ' ');
  expect(unfolded).toMatch(/^Diagnostic-Code: .*mx\.bad\.test .*does not meet its own DANE policy \(RFC 7672\): /m);
});

test.each([
  ['', true],
  ['submission: { requireTls: off }', false],
])('without DANE the resolver is checked for the sake of REQUIRETLS, unless that is off too: %s', async (yaml, isChecked) => {
  const relay = await startTestRelay({ zone: { '.': { SOA: ROOT } }, yaml: `delivery: { dane: off }\n${yaml}` });
  onTestFinished(() => relay.close());
  if (isChecked) await relay.logged('dnssecLost');
  const metrics = await (await fetch(`http://127.0.0.1:${relay.ports.admin}/metrics`)).text();
  expect(metrics).toMatch(isChecked ? /^smarthost_dnssec_trusted 0$/m : /^smarthost_dnssec_trusted 1$/m);
});
