/** The relay under test, a destination that can be told to wait, refuse or delay, and what became of each message. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync } from 'node:zlib';
import { type Certified, makeAuthority, makeHost, served } from '../support/chains.ts';
import type { ReceivedMessage } from '../support/mx-server.ts';
import { isRoot } from '../support/peers.ts';
import { type PolicyHost, startPolicyHost } from '../support/policy-host.ts';
import { loopbackAddress, temporaryFolder, until } from '../support/program.ts';
import { type Scenario, startScenario } from '../support/relay-scenario.ts';
import { submit } from '../support/smtp-send.ts';

export const SECOND = 1000;
const DAY = 86_400 * SECOND;
export const SENDER = 'app@sender.test';

/** One message of a run. */
export type Sent = {
  readonly token: string;
  readonly recipient: string;
  readonly bodyHash: string;
  /** It is a report about TLS to this domain. */
  readonly reportTo?: string;
  /** The 250 to its final dot arrived. */
  acknowledged: boolean;
};

/** What the destination got of one message, or of the report about it. */
export type Fate = { readonly arrivals: readonly ReceivedMessage[]; readonly broken: readonly string[] };

export type World = Scenario & {
  /** Until the function that it returns is called, the destination answers no MAIL. */
  hold(): () => void;
  /** A domain of its own, with a host of its own, whose DNS fails until `found` is called. */
  unknownDomain(): { readonly domain: string; found(): void };
  /** The same; the domain also has an enforced policy, and a host at port 443 that serves it. Only root may ask for one. */
  unknownPolicy(): Promise<{ readonly domain: string; found(): void }>;
  /** Resolves when an attempt at this recipient is noted as delayed. */
  delayed(recipient: string): Promise<void>;
  /** Resolves when the reply came, or the connection was cut. @param size octets of the body */
  send(token: string, recipient: string, size: number): Promise<Sent>;
  fate(sent: Sent): Fate;
  /** Makes a domain with a host of its own that wants reports, and counts sessions of the day before. @returns the report that is owed for them */
  owesReport(token: string): { readonly report: Sent; readonly day: string };
  /** Sessions with this domain, as the store has them, without those that `owesReport` put there. */
  sessionsWith(domain: string): number;
  /** Queue ids of messages that have not ended, and reports that were asked for, read beside the relay, or while there is none. */
  open(): ReadonlySet<string>;
  /** Resolves when nothing waits any more; what does not end is removed. */
  drained(): Promise<void>;
  /** Resolves when the relay knows the DNS of both domains and has a session with their host: each run begins so. */
  warmed(): Promise<void>;
};

/** Recipients that begin with `bad` are refused for good, with `later` once. */
export async function startWorld(): Promise<World> {
  let gate: Promise<void> | undefined;
  const delayed = new Set<string>();
  const script = {
    MAIL: async () => {
      await gate;
      return undefined;
    },
    RCPT: ({ address }: { readonly address: string }) => {
      if (address.startsWith('bad')) return '550 5.1.1 No such user';
      if (!address.startsWith('later') || delayed.has(address)) return undefined;
      delayed.add(address);
      return '451 4.2.0 Later, please';
    },
  };
  const folder = temporaryFolder('authority');
  const root = await makeAuthority('root');
  const ca = join(folder.path, 'ca.pem');
  writeFileSync(ca, root.pem);
  const policyHost = isRoot ? await startPolicyHost(served(root), { address: loopbackAddress(), port: 443 }) : undefined;
  const scenario = await startScenario({
    mx: { script, keep: 100_000, tls: served(await makeHost({ names: ['mx.dest.test'], issuer: root })) },
    // A whole sweep makes some hundred reports an hour to one sender: each must come by itself, not in a summary.
    settings: { queue: { retry: ['1s'], minFree: '1MiB' }, delivery: { ca }, reports: { perHour: 100_000 } },
  });
  const path = join(scenario.relay.folder, 'data', 'smarthost.db');
  const open = () => {
    const database = new DatabaseSync(path, { readOnly: true, timeout: 5 * SECOND });
    try {
      return new Set(
        database
          .prepare("SELECT id FROM open UNION ALL SELECT name FROM small_values WHERE name LIKE 'tlsReports.ask.%'")
          .all()
          .map((row) => String(row['id'])),
      );
    } finally {
      database.close();
    }
  };
  let domains = 0;
  const drained = () => until('an empty queue', () => open().size === 0, { context: () => scenario.relay.output().slice(-3000) });
  return {
    ...scenario,
    open,
    unknownPolicy: () => unknownPolicy(scenario, policyHost!, root, `p${++domains}.lost.test`),
    async close() {
      await scenario.close();
      await policyHost?.close();
      folder.remove();
    },
    async warmed() {
      await send(scenario, { token: 'warm', recipient: 'anna@dest.test', size: 1 });
      await send(scenario, { token: 'warm', recipient: SENDER, size: 1 });
      await drained();
    },
    owesReport(token) {
      const reportTo = `r${hash(Buffer.from(token)).slice(0, 16)}.test`;
      scenario.dns.set(`_smtp._tls.${reportTo}`, { TXT: ['v=TLSRPTv1; rua=mailto:tls@dest.test'] });
      scenario.dns.set(`mx.${reportTo}`, { A: [scenario.mx.address] });
      scenario.dns.set(reportTo, { MX: [`10 mx.${reportTo}`] });
      const day = Math.floor(Date.now() / DAY) - 1;
      const database = new DatabaseSync(path, { timeout: 5 * SECOND });
      database.prepare("INSERT OR IGNORE INTO tls_policies_seen VALUES ('none', '', '')").run();
      database.prepare("INSERT INTO tls_results VALUES (?, ?, 'none', 'no-policy-found', ?, 1, 1)").run(day, reportTo, reportTo);
      database.close();
      const report = { token, recipient: 'tls@dest.test', bodyHash: '', reportTo, acknowledged: false };
      return { report, day: new Date(day * DAY).toISOString().slice(0, 10) };
    },
    sessionsWith(domain) {
      const database = new DatabaseSync(path, { readOnly: true, timeout: 5 * SECOND });
      try {
        const sum = 'SELECT coalesce(sum(ok + failed), 0) - 2 AS n FROM tls_results WHERE domain = ?';
        return Number(database.prepare(sum).get(domain)!['n']);
      } finally {
        database.close();
      }
    },
    unknownDomain() {
      const domain = `d${++domains}.lost.test`;
      scenario.dns.set(domain, { fault: 'servfail' });
      const found = () => {
        scenario.dns.set(`mx.${domain}`, { A: [scenario.mx.address] });
        scenario.dns.set(domain, { MX: [`10 mx.${domain}`] });
      };
      return { domain, found };
    },
    async delayed(address) {
      await scenario.relay.event('delayed', ({ recipient }) => recipient === address);
    },
    hold() {
      let release = () => {};
      gate = new Promise((resolve) => {
        release = resolve;
      });
      return release;
    },
    send: (token, recipient, size) => send(scenario, { token, recipient, size }),
    fate: (sent) => fateOf(scenario.mx.messages, sent),
    async drained() {
      await drained().catch(async (error) => {
        await scenario.relay.command(['queue', 'remove', '--all']);
        throw error;
      });
    },
  };
}

/** What DNS says of it fails until `found` is called. */
async function unknownPolicy({ dns }: Scenario, host: PolicyHost, issuer: Certified, domain: string) {
  host.present(served(await makeHost({ names: [`mta-sts.${domain}`], issuer })));
  host.answer = 'version: STSv1\nmode: enforce\nmx: mx.dest.test\nmax_age: 86400\n';
  for (const name of [domain, `_mta-sts.${domain}`]) dns.set(name, { fault: 'servfail' });
  dns.set(`mta-sts.${domain}`, { A: [host.address] });
  const found = () => {
    dns.set(`_mta-sts.${domain}`, { TXT: ['v=STSv1; id=1;'] });
    dns.set(domain, { MX: ['10 mx.dest.test'] });
  };
  return { domain, found };
}

async function send(
  { relay, user, password }: Scenario,
  { token, recipient, size }: { token: string; recipient: string; size: number },
): Promise<Sent> {
  const body = `${token} ${'x'.repeat(70)}\r\n`.repeat(Math.ceil(size / 80));
  const message = `From: <${SENDER}>\r\nTo: <${recipient}>\r\nSubject: ${token}\r\n\r\n${body}`;
  const account = { address: relay.address, port: relay.ports.submissions, user, password };
  const acknowledged = await submit({ ...account, from: SENDER, to: [recipient], message }).then(
    () => true,
    () => false,
  );
  return { token, recipient, bodyHash: hash(Buffer.from(body)), acknowledged };
}

const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

function fateOf(messages: readonly ReceivedMessage[], { token, recipient, bodyHash, reportTo }: Sent): Fate {
  const bounces = recipient.startsWith('bad');
  const isOne = ({ data, mailFrom }: ReceivedMessage) =>
    reportTo === undefined
      ? (mailFrom === '') === bounces && data.includes(`Subject: ${token}\r\n`)
      : data.includes(`TLS-Report-Domain: ${reportTo}\r\n`);
  const arrivals = messages.filter(isOne);
  const whole =
    reportTo !== undefined
      ? isWholeTlsReport
      : bounces
        ? wholeReport
        : ({ data }: ReceivedMessage) => hash(data.subarray(data.indexOf('\r\n\r\n') + 4)) === bodyHash;
  const broken = arrivals.filter((message) => !whole(message)).map(({ session }) => `half a message in session ${session}`);
  const ids = new Set(arrivals.map(queueIdOf));
  return { arrivals, broken: ids.size > 1 ? [...broken, `${ids.size} messages of one: ${[...ids]}`] : broken };
}

/** Its document is there to the last byte. */
function isWholeTlsReport({ data }: ReceivedMessage): boolean {
  const [, encoded = ''] = /\.json\.gz"\r\n\r\n([A-Za-z0-9+/=\r\n]+)\r\n--/.exec(data.toString('latin1')) ?? [];
  return gunzipSync(Buffer.from(encoded, 'base64')).toString().endsWith('}');
}

/** It names the failure, and its last boundary is there. */
function wholeReport({ data }: ReceivedMessage): boolean {
  const text = data.toString('latin1');
  const boundary = /boundary="?([^";\r\n]+)/.exec(text)?.[1] ?? 'none';
  return /^Status: 5\.1\.1/m.test(text) && text.trimEnd().endsWith(`--${boundary}--`);
}

/** As our Received field or, for reports, our Message-ID names it. */
export function queueIdOf({ data }: ReceivedMessage): string {
  const header = data.toString('latin1', 0, Math.max(0, data.indexOf('\r\n\r\n')));
  return /^Message-ID: <([^.@>]+)[^@>]*@relay\.sender\.test>/im.exec(header)?.[1] ?? /\bid (\S+)/.exec(header)?.[1] ?? 'none';
}
