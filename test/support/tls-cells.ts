/**
 * A domain and a host for every combination of what the DNS proves, what the domain's policy says, and what the host shows. Hosts of one kind
 * share a server. RFC 7672 §2.2, RFC 8461 §5.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DeliveryOptions } from '../../src/delivery/delivery.ts';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from './chains.ts';
import { startTestDelivery, type TestDelivery, type TestMessage } from './delivery.ts';
import { startDns } from './dns.ts';
import type { ZoneRecords } from './dns-server.ts';
import { startMx } from './mx.ts';
import type { MxServer } from './mx-server.ts';

/** What the host shows: both proofs, one of them, none, or no TLS at all. */
export const SHOWN = ['both', 'TLSA only', 'PKIX only', 'neither', 'no STARTTLS'] as const;
/** What the DNS proves of the host. */
export const DNS = ['nothing', 'MX and address', 'unusable', 'proven', 'host proven, MX not', 'look-up fails'] as const;
/** What the domain's policy says. */
export const POLICIES = ['no policy', 'none', 'testing', 'testing, other hosts', 'enforce', 'enforce, other hosts'] as const;
type Shown = (typeof SHOWN)[number];
type Proven = (typeof DNS)[number];
type Policy = (typeof POLICIES)[number];

export type Cell = { readonly proven: Proven; readonly policy: Policy; readonly shown: Shown };
export const CELLS: readonly Cell[] = DNS.flatMap((proven) =>
  POLICIES.flatMap((policy) => SHOWN.map((shown) => ({ proven, policy, shown }))),
);

/** tls, clear: the mail arrived so; refused: a connection, and no mail; passed over: no connection. */
export type Wire = 'tls' | 'clear' | 'refused' | 'passed over';

/** The table of the standards for mail that asks for nothing, in the fewest words: each row begins with what decides. */
export function wanted({ proven, policy, shown }: Cell): Wire {
  const only = (fits: boolean): Wire => (fits ? 'tls' : 'refused');
  if (proven === 'look-up fails') return 'passed over'; // whatever the policy says
  if (proven === 'proven') return only(hasTlsa(shown)); // the policy is not applied
  if (policy === 'enforce, other hosts') return 'passed over';
  if (proven === 'host proven, MX not') return only(hasTlsa(shown) && (policy !== 'enforce' || hasPkix(shown)));
  if (policy === 'enforce') return only(hasPkix(shown));
  if (shown !== 'no STARTTLS') return 'tls'; // whoever it is
  return proven === 'unusable' ? 'refused' : 'clear';
}

export const hasTlsa = (shown: Shown) => shown === 'both' || shown === 'TLSA only';
export const hasPkix = (shown: Shown) => shown === 'both' || shown === 'PKIX only';

/** The host of a cell, and its domain without the last label. */
export const nameOf = ({ proven, policy, shown }: Cell) =>
  `c${CELLS.findIndex((one) => one.proven === proven && one.policy === policy && one.shown === shown)}`;

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

export type Met = {
  readonly wire: Wire;
  readonly outcome: Outcome;
  /** REQUIRETLS stood in MAIL: RFC 8689 §2. */
  readonly isPromised: boolean;
};

export type CellWorld = {
  readonly relay: TestDelivery;
  /** Sends one message, and says what the host met. */
  met(cell: Cell, message?: TestMessage): Promise<Met>;
  close(): Promise<void>;
};

/** @param promises the hosts offer REQUIRETLS. */
export async function startCells(promises = false): Promise<CellWorld> {
  const folder = mkdtempSync(join(tmpdir(), 'cells-'));
  const root = await makeAuthority('root');
  const ca = join(folder, 'ca.pem');
  writeFileSync(ca, root.pem);
  const certificate = await makeHost({ names: ['*.hosts.test'], issuer: root });
  const selfSigned = await makeHost({ names: ['*.hosts.test'] });
  const others = await makeHost({ names: ['*.hosts.test'], issuer: root });
  const stranger = await makeHost({ names: ['*.hosts.test'] });
  const shows: Record<Shown, Certified | undefined> = {
    ...{ both: certificate, 'TLSA only': selfSigned, 'PKIX only': others, neither: stranger, 'no STARTTLS': undefined },
  };
  const hosts = new Map<Shown, MxServer>();
  const extensions = ['PIPELINING', '8BITMIME', 'ENHANCEDSTATUSCODES', ...(promises ? ['REQUIRETLS'] : [])];
  let port = 0;
  for (const [i, shown] of SHOWN.entries()) {
    const own = shows[shown];
    const tls = own && { tls: served(own) };
    const mx = await startMx({ address: `127.0.7.${i + 1}`, port, hostname: 'mx.hosts.test', extensions, ...tls });
    port = mx.port;
    hosts.set(shown, mx);
  }
  const tlsa = { TLSA: [tlsaOf(3, 1, 1, certificate), tlsaOf(3, 1, 1, selfSigned)], secure: true };
  const records: Partial<Record<Proven, ZoneRecords>> = {
    unusable: { TLSA: [tlsaOf(0, 0, 1, certificate)], secure: true },
    proven: tlsa,
    'host proven, MX not': tlsa,
    'look-up fails': { fault: 'servfail' },
  };
  const dns = await startDns();
  for (const cell of CELLS) {
    const [name, isSecure, record] = [nameOf(cell), cell.proven !== 'nothing', records[cell.proven]];
    dns.set(`${name}.test`, { MX: [`10 ${name}.hosts.test`], secure: isSecure && cell.proven !== 'host proven, MX not' });
    dns.set(`${name}.hosts.test`, { A: [hosts.get(cell.shown)!.address], secure: isSecure });
    if (record !== undefined) dns.set(`_${port}._tcp.${name}.hosts.test`, record);
  }
  const relay = await startTestDelivery(dns, { port, sts: held, caFile: ca });
  return {
    relay,
    async met(cell, message = {}) {
      const mx = hosts.get(cell.shown)!;
      const before = { sessions: mx.sessions(), messages: mx.count(), commands: mx.commands.length };
      const [outcome] = await relay.send(`a@${nameOf(cell)}.test`, message);
      const arrived = mx.messages[before.messages];
      if (arrived !== undefined) {
        const isPromised = arrived.mailParameters.includes('REQUIRETLS');
        return { wire: arrived.tls === undefined ? 'clear' : 'tls', outcome: outcome!, isPromised };
      }
      const said = mx.commands.slice(before.commands).map((line) => line.replace(/^\d+ /, '').split(/[ :]/)[0]);
      if (said.includes('MAIL')) throw new Error('an envelope was shown to a host that gets no mail');
      return { wire: mx.sessions() === before.sessions ? 'passed over' : 'refused', outcome: outcome!, isPromised: false };
    },
    async close() {
      await relay.close();
      await Promise.all([dns.close(), ...[...hosts.values()].map((host) => host.close())]);
      rmSync(folder, { recursive: true });
    },
  };
}
