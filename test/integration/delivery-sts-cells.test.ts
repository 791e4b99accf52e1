/**
 * Every cell of what DANE and MTA-STS demand together, at the wire: what was said to the host, or that nothing was. RFC 7672 §2.2,
 * RFC 8461 §2, §5. All cells have a domain and a host name of their own; hosts of one kind share a server.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from '../support/chains.ts';
import { startTestDelivery, type TestDelivery } from '../support/delivery.ts';
import { startDns } from '../support/dns.ts';
import type { DnsServer, ZoneRecords } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxServer } from '../support/mx-server.ts';

/** What the host shows: both proofs, one of them, none, or no TLS at all. */
const SHOWN = ['both', 'TLSA only', 'PKIX only', 'neither', 'no STARTTLS'] as const;
/** What the DNS proves of the host. */
const DNS = ['nothing', 'unusable', 'proven', 'host proven, MX not', 'look-up fails'] as const;
/** What the domain's policy says. */
const POLICIES = ['no policy', 'none', 'testing', 'testing, other hosts', 'enforce', 'enforce, other hosts'] as const;
type Shown = (typeof SHOWN)[number];
type Proven = (typeof DNS)[number];
type Policy = (typeof POLICIES)[number];
/** tls, clear: the mail arrived so; refused: a connection, and no mail; passed over: no connection. */
type Wire = 'tls' | 'clear' | 'refused' | 'passed over';

/** The table of the standards, in the fewest words: each row begins with what decides. */
function wanted(proven: Proven, policy: Policy, shown: Shown): Wire {
  const hasTlsa = shown === 'both' || shown === 'TLSA only';
  const hasPkix = shown === 'both' || shown === 'PKIX only';
  const only = (fits: boolean): Wire => (fits ? 'tls' : 'refused');
  if (proven === 'look-up fails') return 'passed over'; // whatever the policy says
  if (proven === 'proven') return only(hasTlsa); // the policy is not applied
  if (policy === 'enforce, other hosts') return 'passed over';
  if (proven === 'host proven, MX not') return only(hasTlsa && (policy !== 'enforce' || hasPkix));
  if (policy === 'enforce') return only(hasPkix);
  if (shown !== 'no STARTTLS') return 'tls'; // whoever it is
  return proven === 'unusable' ? 'refused' : 'clear';
}

type Cell = { readonly proven: Proven; readonly policy: Policy; readonly shown: Shown };
const CELLS: readonly Cell[] = DNS.flatMap((proven) =>
  POLICIES.flatMap((policy) => SHOWN.map((shown) => ({ proven, policy, shown }))),
);

let folder: string;
let dns: DnsServer;
let relay: TestDelivery;
let certificate: Certified;
const hosts = new Map<Shown, MxServer>();

const nameOf = (cell: Cell) => `c${CELLS.indexOf(cell)}`;
const held: NonNullable<DeliveryOptions['sts']> = {
  async policyFor(domain) {
    const { policy } = CELLS.find((cell) => `${nameOf(cell)}.test` === domain)!;
    if (policy === 'no policy') return {};
    const [mode, others] = policy.split(', ') as ['none' | 'testing' | 'enforce', string?];
    const mx = others === undefined ? ['*.hosts.test'] : ['other.hosts.test'];
    return { policy: { domain, id: '1', mode, mx, text: `mode: ${mode}` } };
  },
  heal: async (domain) => ({ ...(await held.policyFor(domain)), changed: false, isCurrent: true }),
};

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'cells-'));
  const root = await makeAuthority('root');
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, root.pem);
  certificate = await makeHost({ names: ['*.hosts.test'], issuer: root });
  const selfSigned = await makeHost({ names: ['*.hosts.test'] });
  const others = await makeHost({ names: ['*.hosts.test'], issuer: root });
  const stranger = await makeHost({ names: ['*.hosts.test'] });
  const shows: Record<Shown, Certified | undefined> = {
    ...{ both: certificate, 'TLSA only': selfSigned, 'PKIX only': others, neither: stranger, 'no STARTTLS': undefined },
  };
  let port = 0;
  for (const [i, shown] of SHOWN.entries()) {
    const own = shows[shown];
    const tls = own && { tls: served(own) };
    const mx = await startMx({ address: `127.0.7.${i + 1}`, port, hostname: 'mx.hosts.test', ...tls });
    port = mx.port;
    hosts.set(shown, mx);
  }
  const tlsa = { TLSA: [tlsaOf(3, 1, 1, certificate), tlsaOf(3, 1, 1, selfSigned)], secure: true };
  const records: Record<Proven, ZoneRecords> = {
    nothing: {},
    unusable: { TLSA: [tlsaOf(0, 0, 1, certificate)], secure: true },
    proven: tlsa,
    'host proven, MX not': tlsa,
    'look-up fails': { fault: 'servfail' },
  };
  dns = await startDns();
  for (const cell of CELLS) {
    const [name, isSecure] = [nameOf(cell), cell.proven !== 'nothing'];
    dns.set(`${name}.test`, { MX: [`10 ${name}.hosts.test`], secure: isSecure && cell.proven !== 'host proven, MX not' });
    dns.set(`${name}.hosts.test`, { A: [hosts.get(cell.shown)!.address], secure: isSecure });
    if (isSecure) dns.set(`_${port}._tcp.${name}.hosts.test`, records[cell.proven]);
  }
  relay = await startTestDelivery(dns, { port, sts: held, caFile: ca });
});
afterAll(async () => {
  await relay.close();
  await Promise.all([dns.close(), ...[...hosts.values()].map((host) => host.close())]);
  rmSync(folder, { recursive: true });
});

/** Sends one message, and says what the host met. */
async function met(cell: Cell): Promise<{ readonly wire: Wire; readonly text: string; readonly status: string }> {
  const mx = hosts.get(cell.shown)!;
  const before = { sessions: mx.sessions(), messages: mx.count(), commands: mx.commands.length };
  const [outcome] = await relay.send(`a@${nameOf(cell)}.test`);
  const { text, status } = outcome!.reply;
  if (mx.sessions() === before.sessions) return { wire: 'passed over', text, status };
  const message = mx.messages[before.messages];
  if (message !== undefined) return { wire: message.tls === undefined ? 'clear' : 'tls', text, status };
  const said = mx.commands.slice(before.commands).map((line) => line.replace(/^\d+ /, '').split(/[ :]/)[0]);
  expect(said, 'no envelope is shown to it').not.toContain('MAIL');
  return { wire: 'refused', text, status };
}

describe.each(DNS)('DNS: %s', (proven) => {
  describe.each(POLICIES)('policy: %s', (policy) => {
    test.each(SHOWN)('the host shows: %s', async (shown) => {
      const cell = CELLS.find((one) => one.proven === proven && one.policy === policy && one.shown === shown)!;
      const { wire, text, status } = await met(cell);
      expect(wire).toBe(wanted(proven, policy, shown));
      if (wire === 'tls' || wire === 'clear') return;
      expect(status).toMatch(/^4\.7\.[45]$/);
      expect(text).toContain(`${nameOf(cell)}.hosts.test`);
    });
  });
});

test('no failure of a cell has put a host at rest, or made it one whose TLS is broken', () => {
  expect(relay.resting()).toBe(0);
  const rested = relay.events.filter(({ event }) => event === 'resting' || event === 'tlsFailed');
  expect(rested.map(({ fields }) => fields)).toEqual([]);
});
