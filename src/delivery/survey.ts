/** Finds out what would happen to mail for a domain. It uses the code that delivers mail, and sends none. */
import type { X509Certificate } from 'node:crypto';
import type { Reply } from '../smtp/reply.ts';
import type { DestinationRule } from '../smtp/route.ts';
import { SECOND, systemClock } from '../system/clock.ts';
import type { Phrase } from '../system/phrase.ts';
import { decideTls, explainDecision, type TlsFacts } from '../tls-policy/tls-policy.ts';
import { type Connection, deadlines } from './connection.ts';
import type { Destination } from './destination.ts';
import type { HostPolicy } from './host-policy.ts';
import { type Look, planFor } from './plan.ts';
import { createPlanContext, type WayOptions } from './plan-context.ts';
import { openSession, type SessionContext } from './session.ts';
import { createEncryption, type Encryption } from './tls.ts';
import type { Verdict } from './verdict.ts';

type SurveyOptions = Omit<WayOptions, 'log' | 'results'> & {
  /** Also talks to each address, up to the point where mail would begin. */
  readonly connect: boolean;
};

export type DomainSurvey = {
  readonly domain: string;
  /** Absent: a route names the hosts, or the hosts are not known. */
  readonly destination: Destination | undefined;
  /** The hosts of the route that takes the mail. */
  readonly route: readonly string[] | undefined;
  /** In the order of the tries. */
  readonly addresses: readonly SurveyedAddress[];
  /** The end of an attempt. Undefined: a host would get the mail. */
  readonly obstacle: { readonly kind: 'failed' | 'delayed'; readonly reply: Reply } | undefined;
};

export type SurveyedAddress = {
  readonly host: string;
  readonly port: number;
  readonly ip: string;
  /** The address is proven by DNSSEC. */
  readonly secure: boolean;
  /** The operator's demand or exception for the host. Absent: the defaults hold, or a route names the host. */
  readonly rule: DestinationRule | undefined;
  readonly policy: HostPolicy;
  readonly facts: TlsFacts;
  /** Without a full stop. */
  readonly sentence: Phrase;
  readonly session: SurveyedSession | undefined;
};

export type SurveyedSession = {
  /** The protocol, also of a session that does not meet the demand. Undefined: there was no TLS. */
  readonly tls: string | undefined;
  /** The certificates in the order of sending. The first is the host's own. */
  readonly chain: readonly X509Certificate[];
} & (
  | { readonly isOpen: true; readonly assurance: string; readonly proof: string | undefined; readonly requireTls: boolean }
  | { readonly isOpen: false; readonly reply: Reply }
);

/** A short time, because a person waits. */
const LONGEST = 30 * SECOND;

/** Rejects only if `caFile` cannot be read. @param domain in lower-case A-labels. */
export async function surveyDomain(domain: string, { connect, ...options }: SurveyOptions): Promise<DomainSurvey> {
  const log = { emit: () => {} };
  const { now = systemClock } = options;
  const context = createPlanContext({ ...options, log }, { now, isUnreachable: () => false });
  const plan = await planFor({ user: null, reversePath: '' }, `postmaster@${domain}`, context);
  if ('kind' in plan) return { domain, destination: undefined, route: undefined, addresses: [], obstacle: obstacleOf(plan) };
  const { looks, problem } = await (await plan.targets()).survey();
  const session = connect ? sessionContextOf(options, log) : undefined;
  const { named } = plan;
  const isRoute = 'hosts' in named;
  const operator = context.operator(domain);
  const addresses: SurveyedAddress[] = [];
  for (const look of looks) {
    const { address, policy, facts } = look;
    addresses.push({
      ...{ host: address.host.name, port: address.host.port, ip: address.ip, secure: address.evidence.secure },
      ...{ policy, facts, rule: isRoute ? undefined : operator.forHost(facts.mx).rule },
      sentence: explainDecision(facts, decideTls(facts)),
      session: session && (await sessionWith(look, session)),
    });
  }
  const takes = addresses.some((one) => one.policy.kind === 'meet' && one.session?.isOpen !== false);
  const [refused] = addresses.flatMap((one) => (one.session?.isOpen === false ? [one.session.reply] : []));
  const obstacle = takes
    ? undefined
    : refused === undefined
      ? obstacleOf(problem())
      : { kind: 'delayed' as const, reply: refused };
  return { domain, destination: isRoute ? undefined : named, route: isRoute ? named.hosts : undefined, addresses, obstacle };
}

function obstacleOf({ kind, reply }: Verdict): DomainSurvey['obstacle'] {
  return { kind: kind === 'failed' ? kind : 'delayed', reply };
}

function sessionContextOf(
  { hostname, timeouts, caFile }: Omit<SurveyOptions, 'connect'>,
  log: SessionContext['log'],
): SessionContext {
  const encryption = createEncryption(caFile);
  const longest = Object.fromEntries(Object.entries(timeouts).map(([name, time]) => [name, Math.min(time, LONGEST)]));
  return { hostname, log, encryption: showing(encryption), timeouts: deadlines({ ...timeouts, ...longest }) };
}

/** Certificates are shown also if nothing is demanded of them. */
function showing(encryption: Encryption): Encryption {
  return { ...encryption, startFor: (...asked) => ({ ...encryption.startFor(...asked), showsPeer: true }) };
}

async function sessionWith({ target }: Look, context: SessionContext): Promise<SurveyedSession | undefined> {
  if (target === undefined) return undefined;
  let last: Connection | undefined;
  const begun = (connection: Connection) => {
    last = connection;
  };
  const opened = await openSession(target, context, { later: false, begun });
  const chain = last?.peer?.chain ?? [];
  if ('verdict' in opened) return { isOpen: false, reply: opened.verdict.reply, tls: opened.tls, chain };
  const { connection, offersRequireTls: requireTls, assurance, tls } = opened;
  void connection.quit();
  return { isOpen: true, assurance, proof: connection.proof, requireTls, tls, chain };
}
