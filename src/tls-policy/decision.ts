/**
 * Decides what one message demands of the TLS of one host. The decision is a pure function of the DNS evidence, the policy of the
 * recipient's domain, the operator's level and the message. RFC 7672 §2.2, RFC 8461 §5, RFC 8689 §4.2.
 */
import type { TlsLevel } from '../smtp/route.ts';
import type { DaneFinding, DaneRecords } from './dane.ts';

/** What a session is worth, from the least to the most. With `tls` and `encrypt` the certificate is not verified. */
export type Assurance = 'clear' | 'tls' | 'encrypt' | 'verify' | 'sts-testing' | 'sts' | 'dane-insecure-mx' | 'dane' | 'required';

/** on: obeyed; audit: only evaluated and logged; off: not looked up. */
export type PolicyMode = 'on' | 'audit' | 'off';

export type TlsFacts = {
  /** The MX host, lower case. */
  readonly mx: string;
  /** Domain of the recipient in lower-case A-labels, and its name behind all aliases. */
  readonly domain: string;
  readonly expanded: string;
  /** proven: the MX answer is validated; operator: a route names the host. */
  readonly named: 'proven' | 'unproven' | 'operator';
  readonly dane: DaneFinding;
  /** The valid MTA-STS policy, and whether it names this host. */
  readonly sts?: { readonly mode: 'enforce' | 'testing' | 'none'; readonly names: boolean };
  /** The operator's level for the destination. */
  readonly level: TlsLevel;
  /** With level `verify`: what the certificate may be for; absent: the host. */
  readonly names?: readonly string[] | undefined;
  readonly modes: { readonly dane: PolicyMode; readonly mtaSts: PolicyMode };
  readonly message: { readonly requireTls: boolean; readonly tlsOptional: boolean };
};

/** The certificate must have a trusted issuer, and one of these names. */
export type PkixCheck = {
  readonly names: readonly string[];
  /** And, where this is given, for one of these too. */
  readonly also?: readonly string[] | undefined;
};
/** The certificate must match a record. If the record is of an authority, it also needs one of these names: RFC 7672 §3.2.2. */
export type DaneCheck = DaneRecords & { readonly names: readonly string[] };

/** The origin of a demand, for texts and logs. */
export type DemandSource = 'operator' | 'dane' | 'mta-sts' | 'requiretls';

export type Demand = Connect | Skip;
export type Connect = {
  readonly kind: 'connect';
  readonly tls: 'never' | 'offered' | 'required';
  readonly pkix?: PkixCheck;
  readonly dane?: DaneCheck;
  /** The host must offer REQUIRETLS under TLS, and gets it with MAIL: RFC 8689 §4.2.1. */
  readonly keyword: boolean;
  /** The enforced policy of MTA-STS is a part of it. */
  readonly isSts: boolean;
  /** The value of a session that meets the demand. */
  readonly assurance: Assurance;
  /** Absent if nothing is demanded. */
  readonly source?: DemandSource;
  /** Sessions with equal keys may be shared. */
  readonly key: string;
};
/** The host is skipped, and the next one is tried. */
export type Skip = {
  readonly kind: 'skip';
  readonly source: DemandSource;
  readonly why: 'tlsa-lookup' | 'mx-mismatch' | 'dane-required' | 'no-tls' | 'requiretls';
};

export type TlsDecision = {
  readonly demand: Demand;
  /** The demand if all policies were obeyed, if it differs. It is only evaluated and logged. */
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

/** @param all includes policies in testing or audit. */
function isEnforced({ mtaSts }: TlsFacts['modes'], sts: TlsFacts['sts'], all: boolean): boolean {
  if (sts === undefined || mtaSts === 'off') return false;
  return (sts.mode === 'enforce' || (all && sts.mode === 'testing')) && (all || mtaSts === 'on');
}

type Obeyed = TlsFacts & { readonly enforced: boolean };

function demandOf(input: Obeyed): Demand {
  const { level, named, message } = input;
  const { requireTls } = message;
  if (level === 'none') return requireTls ? skip('requiretls', 'no-tls') : connect({ tls: 'never', assurance: 'clear' });
  // RFC 8689 §4.2.2, and §4.1 if the message has both. The operator's demand stays.
  const isOptional = message.tlsOptional && !requireTls;
  const enforced = input.enforced && !isOptional && named !== 'operator';
  const dane = level === 'dane' || (!isOptional && named !== 'operator') ? input.dane : NONE;
  if (dane.kind === 'failed') return skip('dane', 'tlsa-lookup');
  const isDane = dane.kind === 'records';
  const decides = isDane && named !== 'unproven';
  if (level === 'dane' && !decides) return skip('operator', 'dane-required');
  // DANE decides alone if the MX answer is validated: RFC 8461 §2 only forbids the opposite.
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
    isSts: obeysSts,
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

/** The strictest origin, for texts. */
function sourceOf({ dane, obeysSts, requireTls, level }: Sources): DemandSource | undefined {
  if (dane.kind !== 'none') return 'dane';
  if (obeysSts) return 'mta-sts';
  if (requireTls) return 'requiretls';
  return level === 'opportunistic' ? undefined : 'operator';
}

/** RFC 7672 §3.2.2. Names count only if the DNS proves that they lead to this host. */
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

function connect({ keyword = false, isSts = false, ...demand }: Described): Connect {
  return { kind: 'connect', ...demand, keyword, isSts, key: keyOf({ ...demand, keyword }) };
}

type Described = Omit<Connect, 'kind' | 'key' | 'keyword' | 'isSts'> & Partial<Pick<Connect, 'keyword' | 'isSts'>>;

/** Describes what was verified, and how. A session never serves a message with a different demand. */
function keyOf({ tls, pkix, dane, keyword, assurance }: Omit<Connect, 'kind' | 'key' | 'isSts'>): string {
  if (tls === 'never') return 'none';
  const checks = [
    ...[pkix?.names, pkix?.also].filter((names) => names !== undefined).map((names) => `pkix:${names.join(',')}`),
    ...(dane === undefined ? [] : [`dane:${dane.base}:${dane.hash}:${dane.names.join(',')}`]),
    ...(keyword ? ['requiretls'] : []),
  ];
  // The same check may prove less where nothing has proven that the host is the domain's.
  if (checks.length > 0) return [assurance, ...checks].join('+');
  return tls === 'required' ? 'encrypt' : 'tls';
}

function isSame(one: Demand, other: Demand): boolean {
  if (one.kind === 'skip' || other.kind === 'skip') return one.kind === other.kind && (one as Skip).why === (other as Skip).why;
  return one.key === other.key && one.assurance === other.assurance;
}
