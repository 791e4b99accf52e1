/**
 * What is asked of the TLS of one host, for one message: one pure function of what the DNS proves, what the recipient's domain publishes,
 * what the operator and the sender ask. RFC 7672 §2.2, RFC 8461 §5, RFC 8689 §4.2.
 */
import type { TlsLevel } from '../smtp/route.ts';
import type { DaneFinding, DaneRecords } from './dane.ts';

/** What a session is worth, from the least to the most. `tls` and `encrypt` are encrypted to whoever answers. */
export type Assurance = 'clear' | 'tls' | 'encrypt' | 'verify' | 'sts-testing' | 'sts' | 'dane-insecure-mx' | 'dane' | 'required';

/** on: obeyed; audit: evaluated and told, and nothing else; off: not asked for. */
export type PolicyMode = 'on' | 'audit' | 'off';

export type TlsFacts = {
  /** The MX host, lower case. */
  readonly mx: string;
  /** Of the recipient, in lower-case A-labels, and its name behind all aliases. */
  readonly domain: string;
  readonly expanded: string;
  /** Whether it is proven that this is a host of the domain; `operator`: a route names it. */
  readonly named: 'proven' | 'unproven' | 'operator';
  readonly dane: DaneFinding;
  /** The policy of MTA-STS that holds, and whether it names this host. */
  readonly sts?: { readonly mode: 'enforce' | 'testing' | 'none'; readonly names: boolean };
  /** The operator's, for the destination. */
  readonly level: TlsLevel;
  /** With level `verify`: what the certificate may be for; absent: the host. */
  readonly names?: readonly string[] | undefined;
  readonly modes: { readonly dane: PolicyMode; readonly mtaSts: PolicyMode };
  readonly message: { readonly requireTls: boolean; readonly tlsOptional: boolean };
};

/** A certificate from a public authority, or one that the operator trusts, for one of these names. */
export type PkixCheck = {
  readonly names: readonly string[];
  /** And, where this is given, for one of these too. */
  readonly also?: readonly string[] | undefined;
};
/** A certificate that matches a record; where the record names an authority, for one of these names: RFC 7672 §3.2.2. */
export type DaneCheck = DaneRecords & { readonly names: readonly string[] };

/** Whose demand it is, for the words that are told. */
export type DemandSource = 'operator' | 'dane' | 'mta-sts' | 'requiretls';

export type Demand = Connect | Skip;
export type Connect = {
  readonly kind: 'connect';
  readonly tls: 'never' | 'offered' | 'required';
  readonly pkix?: PkixCheck;
  readonly dane?: DaneCheck;
  /** REQUIRETLS must be offered under TLS, and is passed on: RFC 8689 §4.2.1. */
  readonly keyword: boolean;
  /** What a session is worth that meets it. */
  readonly assurance: Assurance;
  /** Absent: nobody demands anything. */
  readonly source?: DemandSource;
  /** Sessions may be shared where this is alike. */
  readonly key: string;
};
/** The host is left alone, and the next one is tried. */
export type Skip = {
  readonly kind: 'skip';
  readonly source: DemandSource;
  readonly why: 'tlsa-lookup' | 'mx-mismatch' | 'dane-required' | 'requiretls';
};

export type TlsDecision = {
  readonly demand: Demand;
  /** What would be demanded if all policies were obeyed, where that is something else: evaluated beside, and told. */
  readonly shadow?: Demand;
};

export function decideTls(input: TlsFacts): TlsDecision {
  const { modes, sts, level } = input;
  // The operator's own demand for DANE stays, whatever becomes of that of others.
  const isWithout = level !== 'dane' && withoutDane;
  const obeyed = demandOf({ ...input, ...(modes.dane !== 'on' && isWithout), enforced: isEnforced(modes, sts, false) });
  if (modes.dane !== 'audit' && !(sts?.mode === 'testing' || modes.mtaSts === 'audit')) return { demand: obeyed };
  const wished = demandOf({ ...input, ...(modes.dane === 'off' && isWithout), enforced: isEnforced(modes, sts, true) });
  return isSame(obeyed, wished) ? { demand: obeyed } : { demand: obeyed, shadow: wished };
}

const withoutDane = { dane: { kind: 'none', why: 'off' } } as const;

/** @param all also what is only tested or audited. */
function isEnforced({ mtaSts }: TlsFacts['modes'], sts: TlsFacts['sts'], all: boolean): boolean {
  if (sts === undefined || mtaSts === 'off') return false;
  return (sts.mode === 'enforce' || (all && sts.mode === 'testing')) && (all || mtaSts === 'on');
}

type Obeyed = TlsFacts & { readonly enforced: boolean };

function demandOf(input: Obeyed): Demand {
  const { level, named, message } = input;
  const { requireTls } = message;
  if (level === 'none') return requireTls ? skip('requiretls', 'requiretls') : connect({ tls: 'never', assurance: 'clear' });
  // RFC 8689 §4.2.2, and §4.1 where both are asked for. What the operator demands stays.
  const isOptional = message.tlsOptional && !requireTls;
  const enforced = input.enforced && !isOptional && named !== 'operator';
  const dane = level === 'dane' || (!isOptional && named !== 'operator') ? input.dane : NONE;
  if (dane.kind === 'failed') return skip('dane', 'tlsa-lookup');
  const isDane = dane.kind === 'records';
  const decides = isDane && named !== 'unproven';
  if (level === 'dane' && !decides) return skip('operator', 'dane-required');
  // DANE decides alone where it is proven that the host is the domain's: RFC 8461 §2 forbids no more than the opposite.
  const obeysSts = enforced && !decides;
  if (obeysSts && input.sts?.names !== true) return skip('mta-sts', 'mx-mismatch');
  if (requireTls && named === 'unproven' && !obeysSts) return skip('requiretls', 'requiretls');
  const pkix = pkixOf(input, obeysSts || (requireTls && !decides));
  const source = sourceOf({ dane, obeysSts, requireTls, level });
  return connect({
    tls: source === undefined ? 'offered' : 'required',
    ...(pkix !== undefined && { pkix }),
    ...(isDane && { dane: { ...recordsOf(dane), names: namesOf(dane.base, input) } }),
    keyword: requireTls,
    ...(source !== undefined && { source }),
    assurance: requireTls
      ? 'required'
      : decides
        ? 'dane'
        : obeysSts
          ? 'sts'
          : isDane
            ? 'dane-insecure-mx'
            : pkix !== undefined
              ? 'verify'
              : source === undefined
                ? 'tls'
                : 'encrypt',
  });
}

/** Whoever else demands a certificate means the name in the MX record: RFC 8461 §4.2, RFC 8689 §4.2.1. */
function pkixOf({ level, names, mx }: TlsFacts, isForMx: boolean): PkixCheck | undefined {
  const own = level === 'verify' ? (names ?? [mx]) : undefined;
  if (!isForMx) return own && { names: own };
  return { names: [mx], ...(own !== undefined && names !== undefined && { also: own }) };
}

const NONE: DaneFinding = { kind: 'none', why: 'off' };

type Sources = Pick<TlsFacts, 'dane' | 'level'> & { readonly obeysSts: boolean; readonly requireTls: boolean };

/** The one that is hardest to meet, as far as that can be said. */
function sourceOf({ dane, obeysSts, requireTls, level }: Sources): DemandSource | undefined {
  if (dane.kind !== 'none') return 'dane';
  if (obeysSts) return 'mta-sts';
  if (requireTls) return 'requiretls';
  return level === 'opportunistic' ? undefined : 'operator';
}

/** RFC 7672 §3.2.2. Names that nobody has proven to lead here do not count. */
function namesOf(base: string, { mx, domain, expanded, named }: TlsFacts): readonly string[] {
  const names = named === 'unproven' ? [base] : named === 'operator' ? [base, mx] : [base, mx, domain, expanded];
  return [...new Set(names)];
}

function recordsOf({ base, records, hash }: DaneRecords): DaneRecords {
  return { base, records, hash };
}

function skip(source: DemandSource, why: Skip['why']): Skip {
  return { kind: 'skip', source, why };
}

function connect({ keyword = false, ...demand }: Omit<Connect, 'kind' | 'key' | 'keyword'> & { keyword?: boolean }): Connect {
  return { kind: 'connect', ...demand, keyword, key: keyOf({ ...demand, keyword }) };
}

/** What was verified, and by what: a session never serves who asks for more, or for something else. */
function keyOf({ tls, pkix, dane, keyword }: Omit<Connect, 'kind' | 'key'>): string {
  if (tls === 'never') return 'none';
  const checks = [
    ...[pkix?.names, pkix?.also].filter((names) => names !== undefined).map((names) => `pkix:${names.join(',')}`),
    ...(dane === undefined ? [] : [`dane:${dane.base}:${dane.hash}:${dane.names.join(',')}`]),
    ...(keyword ? ['requiretls'] : []),
  ];
  if (checks.length > 0) return checks.join('+');
  return tls === 'required' ? 'encrypt' : 'tls';
}

function isSame(one: Demand, other: Demand): boolean {
  if (one.kind === 'skip' || other.kind === 'skip') return one.kind === other.kind && (one as Skip).why === (other as Skip).why;
  return one.key === other.key && one.assurance === other.assurance;
}
