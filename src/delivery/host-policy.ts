/** Finds out what one message demands of the TLS of each host, when the host is about to be tried. RFC 7672 §2.2, RFC 8461 §5. */
import type { DnsClient } from '../dns/dns.ts';
import type { EventLog } from '../events/events.ts';
import {
  type Connect,
  type DaneFinding,
  decideTls,
  findDane,
  mayHaveDane,
  NO_DANE,
  policyNames,
  type TlsDecision,
  type TlsFacts,
} from '../tls-policy/tls-policy.ts';
import type { NameEvidence } from './addresses.ts';
import type { OperatorPolicies, OperatorPolicy } from './operator.ts';
import { countPassedOver, type SessionResults } from './session-results.ts';
import { type TlsPolicy, tlsPolicy } from './tls.ts';
import { type Basis, type HeldPolicy, isDefinite, passedOver, type StsTrouble, tellFault, type Unmet } from './unmet.ts';

/** MTA-STS policies of domains: RFC 8461. */
export type HeldPolicies = {
  /** Never rejects. Waits a short time for a policy that is not known yet. Without `policy` mail is sent as if there were none. */
  policyFor(domain: string): Promise<Known>;
  /** Looks for a newer policy after a failure under `failed`. The one that holds now. */
  heal(domain: string, failed?: HeldPolicy): Promise<Healed>;
};
/** `isCurrent`: the policy was just served. If not, the domain may have another one by now. */
type Healed = { readonly policy?: HeldPolicy | undefined; readonly changed: boolean; readonly isCurrent: boolean };
type Known = {
  readonly policy?: HeldPolicy | undefined;
  readonly problem?: StsTrouble | undefined;
  /** Nobody could say what the domain announces now. */
  readonly isUnknown?: boolean | undefined;
};

export type PolicyContext = {
  readonly dns: Pick<DnsClient, 'tlsa' | 'cname' | 'mx'>;
  readonly log: Pick<EventLog, 'emit'>;
  /** Absent: nobody asks for policies of MTA-STS. */
  readonly sts?: HeldPolicies | undefined;
  readonly results?: SessionResults | undefined;
  /** False: the resolver has been found not to validate, so nothing that it says is proven. */
  readonly validates: () => boolean;
  /** Asks the resolver now. Never rejects. */
  readonly validatesNow: () => Promise<boolean>;
};

/** Whose mail it is, and what is known before any host is looked at. */
export type PolicyQuestion = {
  readonly domain: string;
  readonly expanded: string;
  readonly named: 'proven' | 'unproven' | 'operator';
  /** The resolver that named the hosts is one whose proofs count, or they need none. */
  readonly trusted: boolean;
  readonly operator: OperatorPolicies;
  readonly message: {
    readonly requireTls: boolean;
    /** REQUIRETLS goes along where it can be kept, and the mail goes without it elsewhere: RFC 8689 §5. */
    readonly prefersTls: boolean;
    readonly tlsOptional: boolean;
    /** What becomes of it is not counted, RFC 8460 §3. */
    readonly tlsReport: boolean;
  };
  /** The domain's policy, of `beginPolicy`. */
  readonly policy?: Known | undefined;
};

type PolicyHost = { readonly name: string; readonly port: number };

export type HostPolicy =
  | { readonly kind: 'meet'; readonly tls: TlsPolicy; readonly basis: Basis }
  /** The host is skipped without a connection. */
  | { readonly kind: 'skip'; readonly unmet: Unmet; readonly basis: Basis };

export type HostPolicies = {
  /** What a judgement was made of. */
  factsOf(host: PolicyHost, basis: Basis): TlsFacts;
  /** Never rejects. */
  judge(host: PolicyHost, evidence: NameEvidence): HostPolicy | Promise<HostPolicy>;
  /** Looks up again what the host has failed by, and judges it by that. Undefined if nothing has changed. Never rejects. */
  again(host: PolicyHost, evidence: NameEvidence, unmet: Unmet): Promise<HostPolicy | undefined>;
};

type Asks = Pick<PolicyQuestion, 'domain' | 'operator' | 'message'>;

/** Looks the policy up that a domain publishes, where anybody would obey or tell it. @returns undefined where not. */
export function beginPolicy({ domain, operator, message }: Asks, { sts }: PolicyContext): Promise<Known> | undefined {
  return operator.wantsSts && !message.tlsOptional ? sts?.policyFor(domain) : undefined;
}

export function createHostPolicies(question: PolicyQuestion, context: PolicyContext): HostPolicies {
  const { dns, sts, log, results } = context;
  const { domain, named, operator, message } = question;
  let known = question.policy ?? NOTHING_KNOWN;
  let findings: Map<string, DaneFinding> | undefined;
  /** Known before a message with REQUIRETLS is judged. */
  let validatesNow = true;

  function asksDane({ level, modes }: OperatorPolicy): boolean {
    return level === 'dane' || (modes.dane !== 'off' && named !== 'operator' && level !== 'none' && !message.tlsOptional);
  }

  /** Asks the DNS only if DANE is possible. */
  function findingOf(host: PolicyHost, evidence: NameEvidence, afresh: boolean): DaneFinding | Promise<DaneFinding> {
    const name = nameOf(host);
    if (!asksDane(operator.forHost(name)) || !context.validates()) return NO_DANE;
    if (!mayHaveDane(name, evidence)) return INSECURE;
    const key = keyOf(host, evidence);
    const found = afresh ? undefined : findings?.get(key);
    return (
      found ??
      findDane(dns, { port: host.port, name, ...evidence }, afresh).then((finding) => {
        (findings ??= new Map()).set(key, finding);
        return finding;
      })
    );
  }

  function factsOf(mx: string, dane: DaneFinding, policy: HeldPolicy | undefined): TlsFacts {
    const { level, names, modes } = asksOf(operator.forHost(mx));
    return {
      ...{ mx, domain, expanded: question.expanded, named, dane, level, names, modes },
      ...(policy !== undefined && { sts: { mode: policy.mode, names: policyNames(policy, mx) } }),
      message: { ...message, requireTls: isStrict(mx) },
    };
  }

  /** The operator lets REQUIRETLS hold everywhere but where they say otherwise: RFC 8689 §4.2.1. */
  function isStrict(mx: string): boolean {
    return message.requireTls && operator.forHost(mx).requireTls === undefined;
  }

  /** When the message may take REQUIRETLS along. */
  function promiseOf(mx: string, { assurance }: Connect, facts: TlsFacts): TlsPolicy['promise'] {
    const { requireTls } = operator.forHost(mx);
    if (requireTls !== undefined) return requireTls === 'off' ? 'never' : 'offered';
    if (!message.prefersTls || assurance === 'dane' || assurance === 'sts') return 'verified';
    const { demand } = decideTls({ ...facts, message: { requireTls: true, tlsOptional: false } });
    return demand.kind === 'connect' ? demand : 'verified';
  }

  function asksOf(policy: OperatorPolicy): OperatorPolicy {
    const needsTls = message.requireTls && policy.requireTls === 'tls' && policy.level === 'opportunistic';
    return needsTls ? { ...policy, level: 'encrypt' } : policy;
  }

  function mayBeProven({ problem, isUnknown = false }: Known): boolean {
    return problem !== undefined || isUnknown;
  }

  function isHidden({ trusted }: NameEvidence): boolean {
    return !question.trusted || !trusted || !validatesNow || !context.validates();
  }

  let proven: Promise<boolean> | undefined;
  /** An answer that is not proven may be kept from a time when the resolver did not validate, so it is asked for again. */
  function mayBeProvenNow(): Promise<boolean> {
    return (proven ??= dns.mx(domain, true).then((answer) => answer.kind === 'temporary' || answer.secure || !answer.trusted));
  }

  function judged(host: PolicyHost, evidence: NameEvidence, dane: DaneFinding, known: Known): HostPolicy {
    const mx = nameOf(host);
    const policyOfHost = operator.forHost(mx);
    const { level, modes } = asksOf(policyOfHost);
    const strict = isStrict(mx);
    const { policy, problem, isUnknown = false }: Known = level === 'none' || modes.mtaSts === 'off' ? NOTHING_KNOWN : known;
    const decision =
      dane.kind === 'none' && policy === undefined && level === 'opportunistic' && !strict
        ? UNDEMANDING
        : decideTls(factsOf(mx, dane, policy));
    const basis: Basis = {
      domain,
      dane,
      sts: policy,
      stsProblem: problem,
      mayBeProven: mayBeProven({ problem, isUnknown }),
      isHidden: isHidden(evidence),
      asksDane: asksDane(policyOfHost),
      isDecidedByDane: dane.kind === 'records' && named !== 'unproven',
      isCounted: !message.tlsReport && level !== 'none',
      isStrict: strict,
    };
    tell(host, basis, decision);
    const { demand } = decision;
    const shadow = decision.shadow && { demand: decision.shadow, would: wouldOf(modes, policy) };
    if (shadow?.demand.kind === 'skip')
      tellFault(log, passedOver(shadow.demand, basis, host.name), { basis, mx: host.name, would: shadow.would });
    if (demand.kind === 'connect')
      return {
        kind: 'meet',
        basis,
        tls: tlsPolicy(demand, mx, {
          ...{ implicit: host.port === IMPLICIT_TLS && named === 'operator', shadow },
          ...((message.requireTls || message.prefersTls) && { promise: promiseOf(mx, demand, factsOf(mx, dane, policy)) }),
        }),
      };
    return { kind: 'skip', basis, unmet: passedOver(demand, basis, host.name) };
  }

  /** Logs and counts a skipped host, after all repeated look-ups. */
  function conclude(host: PolicyHost, policy: HostPolicy): HostPolicy {
    if (policy.kind === 'meet') return policy;
    const { unmet, basis } = policy;
    tellFault(log, unmet, { basis, mx: host.name });
    if (results !== undefined) countPassedOver(results, unmet, basis, host.name);
    return policy;
  }

  function tell({ name: mx }: PolicyHost, { dane, sts: policy }: Basis, { demand, shadow }: TlsDecision): void {
    log.emit('tlsPolicy', {
      domain,
      mx,
      dane: dane.kind === 'none' ? dane.why : dane.kind,
      sts: policy && `${policy.mode} ${policy.id}`,
      demand: demand.kind === 'skip' ? demand.why : demand.assurance,
      would: shadow && (shadow.kind === 'skip' ? shadow.why : shadow.assurance),
    });
  }

  /** The domain may have corrected its policy. This is checked before anything fails by it: RFC 8461 §5.1. */
  async function healed(): Promise<boolean> {
    if (sts === undefined || known.policy?.mode !== 'enforce') return false;
    const { policy, changed, isCurrent } = await sts.heal(domain, known.policy);
    known = { policy, problem: changed || isCurrent ? undefined : known.problem, isUnknown: !isCurrent };
    return changed;
  }

  async function gathered(
    host: PolicyHost,
    evidence: NameEvidence,
    finding: DaneFinding | Promise<DaneFinding>,
  ): Promise<HostPolicy> {
    const dane = await finding;
    if (message.requireTls) validatesNow = await context.validatesNow();
    const first = judged(host, evidence, dane, known);
    if (first.kind === 'meet') return first;
    if (first.unmet.source === 'requiretls') {
      const { basis } = first;
      if (!isDefinite(first.unmet, basis) || named !== 'unproven' || !(await mayBeProvenNow())) return first;
      return { ...first, basis: { ...basis, mayBeProven: true } };
    }
    if (first.unmet.source !== 'mta-sts') return first;
    if (await healed()) return judged(host, evidence, dane, known);
    // A policy that could not be fetched anew may name this host by now.
    return { ...first, basis: { ...first.basis, mayBeProven: mayBeProven(known) } };
  }

  return {
    factsOf: (host, { dane, sts: policy }) => factsOf(nameOf(host), dane, policy),
    judge(host, evidence) {
      const dane = findingOf(host, evidence, false);
      if (known.policy === undefined && !(dane instanceof Promise) && !message.requireTls)
        return conclude(host, judged(host, evidence, dane, known));
      return gathered(host, evidence, dane).then((policy) => conclude(host, policy));
    },
    async again(host, evidence, { check }) {
      if (check === 'dane') {
        const before = findings?.get(keyOf(host, evidence));
        const dane = await findingOf(host, evidence, true);
        return isSameFinding(before, dane) ? undefined : judged(host, evidence, dane, known);
      }
      return (await healed()) ? judged(host, evidence, await findingOf(host, evidence, false), known) : undefined;
    },
  };
}

function keyOf({ name, port }: PolicyHost, { secure }: NameEvidence): string {
  return `${name} ${port} ${secure}`;
}

/** Lower case, without a final dot: operators write names in any form. */
function nameOf({ name }: PolicyHost): string {
  return (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase();
}

const NOTHING_KNOWN: Known = {};

/** The decision for a host without any policy, which is the usual case. */
const UNDEMANDING: TlsDecision = decideTls({
  ...{ mx: '', domain: '', expanded: '', named: 'unproven', dane: NO_DANE, level: 'opportunistic' },
  modes: { dane: 'on', mtaSts: 'on' },
  message: { tlsOptional: false, requireTls: false },
});

const INSECURE: DaneFinding = { kind: 'none', why: 'insecure' };
/** RFC 8314 §3.3. */
const IMPLICIT_TLS = 465;

function wouldOf({ mtaSts, dane }: OperatorPolicy['modes'], policy: HeldPolicy | undefined): 'audit' | 'testing' {
  return dane !== 'audit' && mtaSts === 'on' && policy?.mode === 'testing' ? 'testing' : 'audit';
}

function isSameFinding(one: DaneFinding | undefined, other: DaneFinding): boolean {
  if (one?.kind !== other.kind) return false;
  return one.kind !== 'records' || other.kind !== 'records' || (one.base === other.base && one.hash === other.hash);
}
