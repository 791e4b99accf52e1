/** A report about TLS on its whole way: from a running relay to a Postfix, verified by dkimpy and mailauth, read by Python. RFC 8460 §5.3 */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import { DAY } from '../../src/system/clock.ts';
import { hasDkimpy, judgeByDkimpy, type TxtRecords, txtRecords } from '../support/dkim-judges.ts';
import { verifyByMailauth } from '../support/dkim-verifiers.ts';
import { type DnsServer, startDnsServer } from '../support/dns-server.ts';
import { requirePeer } from '../support/peers.ts';
import { hasPostfix, type Postfix, startPostfixDestination } from '../support/postfix.ts';
import { freePort, loopbackAddress, until } from '../support/program.ts';
import { prepareRelay, type RelayProcess } from '../support/relay-process.ts';
import { readTlsReport } from '../support/tls-report-judge.ts';

const present = requirePeer('postfix', hasPostfix()) && hasDkimpy();
const DAY_BEFORE = Math.floor(Date.now() / DAY) - 1;

let postfix: Postfix;
let dns: DnsServer;
let relay: RelayProcess;
let records: TxtRecords;

beforeAll(async () => {
  if (!present) return;
  const address = loopbackAddress();
  const port = await freePort(address);
  const rua = { TXT: ['v=TLSRPTv1; rua=mailto:anna@dest.test'] };
  dns = await startDnsServer({
    zone: { 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: [address] }, '_smtp._tls.dest.test': rua },
  });
  postfix = await startPostfixDestination({ address, port, hostname: 'mx.dest.test', domains: ['dest.test'] });
  // None by itself: the test says when.
  relay = await prepareRelay({ dns: dns.server, deliveryPort: port, settings: { reports: { tls: 'off' } } });
  records = txtRecords(await relay.addDomain(relay.hostname));
  const store = await storeFiles(join(relay.folder, 'data')).open();
  const policy = { key: 'none', type: 'no-policy-found', domain: 'dest.test', strings: [], mxHosts: [] } as const;
  const kind = {
    type: 'starttls-not-supported',
    sendingIp: null,
    mx: 'mx.dest.test',
    helo: null,
    receivingIp: address,
    reason: null,
  };
  await store.tlsResults.addTlsResults([
    { day: DAY_BEFORE, domain: 'dest.test', policy, ok: 41, failed: 1, failures: [{ ...kind, count: 1 }] },
  ]);
  await store.close();
  await relay.start();
});
afterAll(async () => {
  await relay?.close();
  await Promise.all([postfix?.close(), dns?.close()]);
});

describe.skipIf(!present)('Postfix as the one who wants reports', () => {
  test('it stores one report, whose fields are signed, and whose end is noted', async () => {
    const date = new Date(DAY_BEFORE * DAY).toISOString().slice(0, 10);
    await relay.command(['tls', 'reports', 'send', date, 'dest.test']);
    const context = () => relay.output().slice(-3000) + postfix.output().slice(-3000);
    const { message, reversePath } = await until('the report', () => postfix.mailbox()[0], { context });
    expect(reversePath).toBe('');
    expect(await judgeByDkimpy(message, records)).toEqual([
      `ed25519-sha256 ${relay.hostname} pass`,
      `rsa-sha256 ${relay.hostname} pass`,
    ]);
    expect((await verifyByMailauth(message, records)).map((verdict) => verdict.split(' ').at(-1))).toEqual(['pass', 'pass']);
    const changed = Buffer.from(
      message.toString('latin1').replace('TLS-Report-Domain: dest.test', 'TLS-Report-Domain: other.test'),
      'latin1',
    );
    expect((await judgeByDkimpy(changed, records)).map((verdict) => verdict.split(' ').at(-1))).toEqual(['fail', 'fail']);
    const { header, defects, report } = await readTlsReport(message);
    expect(defects).toEqual([]);
    expect(header).toMatchObject({
      'tls-report-domain': 'dest.test',
      'tls-report-submitter': relay.hostname,
      'tls-required': 'No',
    });
    expect(report.policies[0]!.summary).toEqual({ 'total-successful-session-count': 41, 'total-failure-session-count': 1 });
    await relay.event('relayed', (event) => event['recipient'] === 'anna@dest.test');
    const told = await relay.event('tlsReport', (event) => event['action'] === 'queued');
    expect(told).toMatchObject({ domain: 'dest.test', rua: 'mailto:anna@dest.test', transport: 'mailto', day: date });
    expect(postfix.mailbox()).toHaveLength(1);
  });
});
