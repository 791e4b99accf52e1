/** What would happen to mail for one domain: its hosts, what is demanded of their TLS and by whom, in data and in one sentence. */
import type { X509Certificate } from 'node:crypto';
import type { DomainSurvey, SurveyedAddress, SurveyedSession } from '../delivery/delivery.ts';
import type { DnsClient } from '../dns/dns.ts';
import { replyLine } from '../smtp/reply.ts';
import type { DestinationRule, IpPolicy, Route, TlsLevel } from '../smtp/route.ts';
import { inEnglish, type Phrase, phrase } from '../system/phrase.ts';
import type { Parts } from './parts.ts';
import { iso } from './shapes.ts';

export type TlsCheckSettings = {
  readonly hostname: string;
  readonly routes: readonly Route[];
  readonly destinations: readonly DestinationRule[];
  readonly delivery: {
    readonly port: number;
    readonly ip: IpPolicy;
    readonly source: readonly string[];
    readonly allowPrivate: readonly string[];
    readonly tls: TlsLevel;
    readonly dane: 'on' | 'audit' | 'off';
    readonly mtaSts: 'on' | 'audit' | 'off';
    readonly ca?: string | undefined;
    readonly timeouts: {
      readonly [stage in 'connect' | 'greeting' | 'command' | 'data' | 'block' | 'dot']: number;
    };
  };
};

/** `tls check`. `result` is what would become of mail now: `sent`, `delayed` or `returned`. */
export type DomainCheck = Awaited<ReturnType<TlsCheckControl['check']>>;
export type CheckedHost = ReturnType<typeof hostShape>;

export type TlsCheckControl = ReturnType<typeof createTlsCheckControl>;

type CheckOptions = {
  /** Also talks to each host, up to where mail would be sent. */
  readonly connect: boolean;
  /** Of MX hosts; absent: as configured. */
  readonly port?: number | undefined;
};

export function createTlsCheckControl({ store, settings, dns, now }: Parts<TlsCheckSettings> & { readonly dns: DnsClient }) {
  /** The code that delivers mail judges, so a check cannot say something else. @param domain in lower-case A-labels. */
  async function check(domain: string, { connect, port }: CheckOptions) {
    const { surveyDomain, exceptionsOf } = await import('../delivery/delivery.ts');
    const { openStsPolicies, readReportRecord, reportRecordName } = await import('../tls-policy/tls-policy.ts');
    const { hostname, routes, destinations, delivery } = settings();
    const { ca, allowPrivate } = delivery;
    const sts = openStsPolicies({ store: store.tlsPolicies, dns, allowPrivate, caFile: ca });
    // A resolver that gives no answer proves nothing, and its other answers say so themselves.
    const validates = (await dns.validates()) ?? true;
    const [survey, records] = await Promise.all([
      surveyDomain(domain, {
        ...{ ...delivery, hostname, routes, destinations, dns, sts, connect, now, validates: () => validates },
        ...(port !== undefined && { port }),
        ...(ca !== undefined && { caFile: ca }),
      }).finally(() => sts.close()),
      dns.txt(reportRecordName(domain)),
    ]);
    const policy = await store.tlsPolicies.stsPolicy(domain);
    const rules = new Set(survey.addresses.flatMap(({ rule }) => rule ?? []));
    const trouble = survey.addresses.find(({ policy: { basis } }) => basis.stsProblem)?.policy.basis.stsProblem;
    const exceptions = exceptionsOf([...rules], delivery.tls, now());
    const targets = records.kind === 'found' ? readReportRecord(records.values) : undefined;
    return {
      ...{ domain, result: resultOf(survey), ...spoken(sentenceOf(survey)), validates },
      route: survey.route ?? null,
      mx: survey.destination === undefined ? null : mxShape(survey.destination),
      hosts: await Promise.all(survey.addresses.map(async (one) => hostShape(one, await tlsaOf(one)))),
      mtaSts: policy === undefined || policy.expiresAt <= now() ? null : policyShape(policy),
      mtaStsProblem: trouble === undefined ? null : inEnglish(trouble.why),
      mtaStsPhrase: trouble?.why ?? null,
      tlsReports: targets?.map(({ uri }) => uri) ?? null,
      exceptions: exceptions.map(({ subject, what, until }) => ({
        subject,
        what: inEnglish(what),
        phrase: what,
        until: iso(until ?? null),
      })),
    };
  }

  /** Also those that do not count, and why: the answers are those of the survey, kept. */
  async function tlsaOf({ facts: { dane }, port }: SurveyedAddress) {
    if (dane.kind !== 'records' && dane.kind !== 'unusable') return [];
    const { fateOf, tlsaText } = await import('../tls-policy/tls-policy.ts');
    const answer = await dns.tlsa(`_${port}._tcp.${dane.base}`);
    const all = answer.kind === 'found' ? answer.values : dane.records;
    return all.map((record) => {
      const fate = fateOf(record, all);
      return { record: tlsaText(record), fate: inEnglish(fate), phrase: fate };
    });
  }

  return { check };
}

function resultOf({ obstacle }: DomainSurvey): 'sent' | 'delayed' | 'returned' {
  if (obstacle === undefined) return 'sent';
  return obstacle.kind === 'failed' ? 'returned' : 'delayed';
}

const FATES = {
  sent: (domain: string) => phrase`Mail to ${domain} would be sent`,
  delayed: (domain: string) => phrase`Mail to ${domain} would be delayed`,
  returned: (domain: string) => phrase`Mail to ${domain} would be returned`,
};

/** The same twice: the second can be said in another language. */
const spoken = (said: Phrase) => ({ sentence: inEnglish(said), phrase: said });

/** The host that gets the mail, or the one that is to blame. */
function sentenceOf(survey: DomainSurvey): Phrase {
  const { domain, addresses, obstacle } = survey;
  const fate = FATES[resultOf(survey)](domain);
  const taker = addresses.find(({ policy, session }) => policy.kind === 'meet' && session?.isOpen !== false);
  if (obstacle === undefined) return phrase`${fate}: ${taker!.sentence}.`;
  const passed = addresses.find(({ policy }) => policy.kind === 'skip');
  const isMet = addresses.some(({ policy }) => policy.kind === 'meet');
  if (passed !== undefined && !isMet) return phrase`${fate}: ${passed.sentence}.`;
  return phrase`${fate}: ${replyLine(obstacle.reply).replace(/\.$/, '')}.`;
}

function mxShape({ secure, expanded, preferences }: NonNullable<DomainSurvey['destination']>) {
  return { proven: secure, name: expanded, hosts: preferences };
}

type JudgedRecord = { readonly record: string; readonly fate: string; readonly phrase: Phrase };

function hostShape(surveyed: SurveyedAddress, tlsa: readonly JudgedRecord[]) {
  const { host, port, ip, secure, facts, policy, sentence, session } = surveyed;
  const { dane, level, modes } = facts;
  return {
    ...{ host, port, ip, proven: secure },
    dane: dane.kind === 'none' ? dane.why : dane.kind,
    daneProblem: dane.kind === 'failed' ? `${dane.name}: ${inEnglish(dane.why)}` : null,
    tlsa,
    ...{ level, modes },
    /** What a session would be worth, or why the host is passed over. */
    demand: policy.kind === 'skip' ? policy.unmet.reason : policy.tls.assurance,
    by: (policy.kind === 'skip' ? policy.unmet.source : policy.tls.source) ?? null,
    ...spoken(phrase`${sentence}.`),
    session: session === undefined ? null : sessionShape(session),
  };
}

function sessionShape(session: SurveyedSession) {
  const { tls = null, chain } = session;
  const certificates = chain.map(certificateShape);
  if (!session.isOpen) return { ok: false, tls, reply: replyLine(session.reply), chain: certificates };
  const { assurance, proof = null, requireTls } = session;
  return { ok: true, tls, assurance, matched: proof, requireTls, chain: certificates };
}

function certificateShape({ subject, issuer, validTo, subjectAltName, fingerprint256 }: X509Certificate) {
  const line = (name: string) => name.split('\n').reverse().join(', ');
  return {
    ...{ subject: line(subject ?? ''), issuer: line(issuer), names: subjectAltName ?? null, notAfter: iso(Date.parse(validTo)) },
    sha256: fingerprint256.replaceAll(':', ''),
  };
}

type StoredPolicy = {
  readonly mode: string;
  readonly id: string;
  readonly mx: readonly string[];
  readonly fetchedAt: number;
  readonly expiresAt: number;
};

function policyShape({ mode, id, mx, fetchedAt, expiresAt }: StoredPolicy) {
  return { mode, id, mx, fetchedAt: iso(fetchedAt), expiresAt: iso(expiresAt) };
}
