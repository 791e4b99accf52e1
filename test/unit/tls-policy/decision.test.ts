/** Every cell of what is demanded of a host's TLS: RFC 7672 §2.2, RFC 8461 §5, RFC 8689 §4.2. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { TlsLevel } from '../../../src/smtp/route.ts';
import { data } from '../../../src/system/phrase.ts';
import { type Demand, decideTls, type TlsFacts } from '../../../src/tls-policy/decision.ts';
import { recordOf } from '../../support/chains.ts';

const records = [recordOf(`3 1 1 ${'ab'.repeat(32)}`)];
const FINDINGS = {
  none: { kind: 'none', why: 'absent' },
  unusable: { kind: 'unusable', base: 'base.test', records },
  records: { kind: 'records', base: 'base.test', records, hash: 'hash' },
  failed: { kind: 'failed', name: '_25._tcp.base.test', why: data('SERVFAIL') },
} as const;
const STS = {
  none: undefined,
  testing: { mode: 'testing', names: true },
  enforced: { mode: 'enforce', names: true },
  foreign: { mode: 'enforce', names: false },
} as const;

const PLAIN: TlsFacts = {
  ...{ mx: 'mx.test', domain: 'd.test', expanded: 'e.test', named: 'proven', dane: FINDINGS.none, level: 'opportunistic' },
  modes: { dane: 'on', mtaSts: 'on' },
  message: { requireTls: false, tlsOptional: false },
};
type Change = Omit<Partial<TlsFacts>, 'dane' | 'sts' | 'message'> & {
  dane?: keyof typeof FINDINGS;
  sts?: keyof typeof STS;
  message?: Partial<TlsFacts['message']>;
};
function facts({ dane = 'none', sts = 'none', message, ...rest }: Change): TlsFacts {
  const policy = STS[sts];
  return { ...PLAIN, ...rest, dane: FINDINGS[dane], ...(policy && { sts: policy }), message: { ...PLAIN.message, ...message } };
}

/** `clear`, `offered`, `any`, `pkix`, `dane`, `dane+pkix`, or why the host is passed over. */
function word(demand: Demand): string {
  if (demand.kind === 'skip') return demand.why;
  if (demand.tls === 'never') return 'clear';
  const checks = [demand.dane && 'dane', demand.pkix && 'pkix'].filter(Boolean).join('+');
  return checks === '' ? (demand.tls === 'required' ? 'any' : 'offered') : checks;
}
const decided = (change: Change) => word(decideTls(facts(change)).demand);
const worth = (change: Change) => {
  const { demand } = decideTls(facts(change));
  return demand.kind === 'connect' ? demand.assurance : undefined;
};

const [P, U] = ['proven', 'unproven'] as const;
describe.each<readonly [string, Pick<Change, 'dane' | 'named'>, Readonly<Record<keyof typeof STS, string>>]>([
  ['no DANE', { dane: 'none', named: U }, { none: 'offered', testing: 'offered', enforced: 'pkix', foreign: 'mx-mismatch' }],
  [
    'no DANE, hosts proven',
    { dane: 'none', named: P },
    { none: 'offered', testing: 'offered', enforced: 'pkix', foreign: 'mx-mismatch' },
  ],
  ['useless records', { dane: 'unusable', named: P }, { none: 'any', testing: 'any', enforced: 'pkix', foreign: 'mx-mismatch' }],
  [
    'useless records, hosts unproven',
    { dane: 'unusable', named: U },
    { none: 'any', testing: 'any', enforced: 'pkix', foreign: 'mx-mismatch' },
  ],
  ['records', { dane: 'records', named: P }, { none: 'dane', testing: 'dane', enforced: 'dane', foreign: 'dane' }],
  [
    'records, hosts unproven',
    { dane: 'records', named: U },
    { none: 'dane', testing: 'dane', enforced: 'dane+pkix', foreign: 'mx-mismatch' },
  ],
  [
    'a failed look-up',
    { dane: 'failed', named: P },
    { none: 'tlsa-lookup', testing: 'tlsa-lookup', enforced: 'tlsa-lookup', foreign: 'tlsa-lookup' },
  ],
  [
    'a failed look-up, hosts unproven',
    { dane: 'failed', named: U },
    { none: 'tlsa-lookup', testing: 'tlsa-lookup', enforced: 'tlsa-lookup', foreign: 'tlsa-lookup' },
  ],
])('%s, and of MTA-STS', (_, change, cells) => {
  test.each(Object.entries(cells))('%s: %s', (sts, cell) => {
    expect(decided({ ...change, sts: sts as keyof typeof STS })).toBe(cell);
  });
});

describe('the operator’s level', () => {
  test.each<readonly [TlsLevel, Change, string]>([
    ['none', {}, 'clear'],
    ['none', { dane: 'records', sts: 'enforced' }, 'clear'],
    ['encrypt', {}, 'any'],
    ['encrypt', { sts: 'enforced' }, 'pkix'],
    ['encrypt', { dane: 'records' }, 'dane'],
    ['encrypt', { dane: 'failed' }, 'tlsa-lookup'],
    ['verify', {}, 'pkix'],
    ['verify', { dane: 'unusable' }, 'pkix'],
    ['verify', { dane: 'records' }, 'dane+pkix'],
    ['verify', { dane: 'records', named: 'unproven' }, 'dane+pkix'],
    ['dane', {}, 'dane-required'],
    ['dane', { dane: 'unusable' }, 'dane-required'],
    ['dane', { dane: 'records' }, 'dane'],
    ['dane', { dane: 'records', named: 'unproven' }, 'dane-required'],
    ['dane', { dane: 'failed' }, 'tlsa-lookup'],
    ['dane', { dane: 'records', named: 'operator' }, 'dane'],
    ['verify', { dane: 'records', named: 'operator', sts: 'foreign' }, 'pkix'],
    ['opportunistic', { dane: 'failed', named: 'operator' }, 'offered'],
  ])('%s, %j: %s', (level, change, cell) => {
    expect(decided({ ...change, level })).toBe(cell);
  });
});

describe('what the message asks for', () => {
  const REQUIRED = { requireTls: true };
  const OPTIONAL = { tlsOptional: true };
  test.each<readonly [Change, string]>([
    [{ message: REQUIRED, dane: 'records' }, 'dane'],
    [{ message: REQUIRED }, 'pkix'],
    [{ message: REQUIRED, dane: 'unusable' }, 'pkix'],
    [{ message: REQUIRED, named: 'unproven' }, 'requiretls'],
    [{ message: REQUIRED, named: 'unproven', dane: 'records' }, 'requiretls'],
    [{ message: REQUIRED, named: 'unproven', sts: 'testing' }, 'requiretls'],
    [{ message: REQUIRED, named: 'unproven', sts: 'enforced' }, 'pkix'],
    [{ message: REQUIRED, named: 'unproven', sts: 'enforced', dane: 'records' }, 'dane+pkix'],
    [{ message: REQUIRED, dane: 'failed' }, 'tlsa-lookup'],
    [{ message: REQUIRED, level: 'none' }, 'no-tls'],
    [{ message: REQUIRED, named: 'operator' }, 'pkix'],
    [{ message: OPTIONAL, dane: 'records', sts: 'foreign' }, 'offered'],
    [{ message: OPTIONAL, dane: 'failed' }, 'offered'],
    [{ message: OPTIONAL, level: 'verify', dane: 'records' }, 'pkix'],
    [{ message: OPTIONAL, level: 'encrypt' }, 'any'],
    [{ message: OPTIONAL, level: 'dane', dane: 'records' }, 'dane'],
    [{ message: { ...REQUIRED, ...OPTIONAL }, dane: 'records' }, 'dane'],
    [{ message: { ...REQUIRED, ...OPTIONAL }, named: 'unproven' }, 'requiretls'],
  ])('%j: %s', (change, cell) => {
    expect(decided(change)).toBe(cell);
  });
  test('REQUIRETLS is asked of the host where it is asked of us, and nowhere else', () => {
    expect(decideTls(facts({ message: REQUIRED })).demand).toMatchObject({ keyword: true, assurance: 'required' });
    expect(decideTls(facts({ dane: 'records' })).demand).toMatchObject({ keyword: false });
  });
});

test.each<readonly [string, Change]>([
  ['clear', { level: 'none' }],
  ['tls', {}],
  ['encrypt', { level: 'encrypt' }],
  ['encrypt', { dane: 'unusable' }],
  ['verify', { level: 'verify' }],
  ['sts', { sts: 'enforced' }],
  ['sts', { sts: 'enforced', named: 'unproven', dane: 'records' }],
  ['dane-insecure-mx', { named: 'unproven', dane: 'records' }],
  ['dane', { dane: 'records' }],
])('a session is worth %s: %j', (assurance, change) => {
  expect(worth(change)).toBe(assurance);
});

describe('what certificates are held to', () => {
  const names = (change: Change) => {
    const { demand } = decideTls(facts(change));
    return demand.kind === 'connect' ? { dane: demand.dane?.names, pkix: demand.pkix?.names } : undefined;
  };
  test('under DANE the base, and the names that are proven to lead there: RFC 7672 §3.2.2', () => {
    expect(names({ dane: 'records' })).toEqual({ dane: ['base.test', 'mx.test', 'd.test', 'e.test'], pkix: undefined });
    expect(names({ dane: 'records', named: 'unproven' })).toEqual({ dane: ['base.test'], pkix: undefined });
    expect(names({ dane: 'records', named: 'operator', level: 'dane' })!.dane).toEqual(['base.test', 'mx.test']);
  });
  test('under MTA-STS the name of the MX record: RFC 8461 §4.2', () => {
    expect(names({ sts: 'enforced' })).toEqual({ dane: undefined, pkix: ['mx.test'] });
  });
});

describe('the operator’s names for a certificate', () => {
  const names = ['a.test', 'b.test'];
  const pkix = (change: Change) => {
    const { demand } = decideTls(facts({ names, ...change }));
    return demand.kind === 'connect' ? demand.pkix : undefined;
  };
  test('take the place of the host’s, at level verify only', () => {
    expect(pkix({ level: 'verify' })).toEqual({ names });
    expect(pkix({ level: 'verify', dane: 'records' })).toEqual({ names });
    expect(pkix({ level: 'encrypt' })).toBeUndefined();
    expect(pkix({ level: 'encrypt', sts: 'enforced' })).toEqual({ names: ['mx.test'] });
  });
  test('never take the place of what a domain or a message demands', () => {
    expect(pkix({ level: 'verify', sts: 'enforced' })).toEqual({ names: ['mx.test'], also: names });
    expect(pkix({ level: 'verify', message: { requireTls: true } })).toEqual({ names: ['mx.test'], also: names });
  });
  test('keep sessions apart', () => {
    const keys = [
      facts({ level: 'verify' }),
      facts({ level: 'verify', names }),
      facts({ level: 'verify', names, sts: 'enforced' }),
    ];
    expect(new Set(keys.map((one) => (decideTls(one).demand as { key: string }).key)).size).toBe(3);
  });
});

describe('an audited or tested policy changes nothing, and its result is known', () => {
  test.each<readonly [Change, string, string | undefined]>([
    [{ dane: 'records', modes: { dane: 'audit', mtaSts: 'on' } }, 'offered', 'dane'],
    [{ dane: 'failed', modes: { dane: 'audit', mtaSts: 'on' } }, 'offered', 'tlsa-lookup'],
    [{ dane: 'unusable', modes: { dane: 'audit', mtaSts: 'on' } }, 'offered', 'any'],
    [{ dane: 'none', modes: { dane: 'audit', mtaSts: 'on' } }, 'offered', undefined],
    [{ dane: 'records', modes: { dane: 'off', mtaSts: 'on' } }, 'offered', undefined],
    [{ sts: 'enforced', modes: { dane: 'on', mtaSts: 'audit' } }, 'offered', 'pkix'],
    [{ sts: 'foreign', modes: { dane: 'on', mtaSts: 'audit' } }, 'offered', 'mx-mismatch'],
    [{ sts: 'foreign', modes: { dane: 'on', mtaSts: 'off' } }, 'offered', undefined],
    [{ sts: 'testing' }, 'offered', 'pkix'],
    [{ sts: 'testing', dane: 'records' }, 'dane', undefined],
    [{ sts: 'testing', dane: 'records', named: 'unproven' }, 'dane', 'dane+pkix'],
    [{ sts: 'testing', dane: 'unusable' }, 'any', 'pkix'],
    [{ sts: 'testing', modes: { dane: 'on', mtaSts: 'off' } }, 'offered', undefined],
    [{ sts: 'enforced', dane: 'records', modes: { dane: 'audit', mtaSts: 'on' } }, 'pkix', 'dane'],
    [{ level: 'dane', dane: 'records', modes: { dane: 'off', mtaSts: 'off' } }, 'dane', undefined],
    [{ level: 'dane', modes: { dane: 'off', mtaSts: 'off' } }, 'dane-required', undefined],
    [{ level: 'dane', dane: 'records', modes: { dane: 'audit', mtaSts: 'on' } }, 'dane', undefined],
    [{ level: 'verify', sts: 'foreign', modes: { dane: 'audit', mtaSts: 'audit' } }, 'pkix', 'mx-mismatch'],
  ])('%j: %s, and beside it %s', (change, demand, beside) => {
    const decision = decideTls(facts(change));
    expect(word(decision.demand)).toBe(demand);
    expect(decision.shadow && word(decision.shadow)).toBe(beside);
  });
});

describe('only mail with the same demand shares a session', () => {
  const key = (change: Change) => {
    const { demand } = decideTls(facts(change));
    return demand.kind === 'connect' ? demand.key : undefined;
  };
  test('mail that demands more, or something else, gets no session of other mail', () => {
    const changes: Change[] = [
      ...([{ level: 'none' }, {}, { level: 'encrypt' }, { level: 'verify' }, { dane: 'records' }] as Change[]),
      ...([
        { dane: 'records', named: 'unproven' },
        { level: 'verify', dane: 'records' },
        { level: 'verify', mx: 'other.test' },
      ] as Change[]),
      { message: { requireTls: true } },
    ];
    expect(new Set(changes.map(key)).size).toBe(changes.length);
  });
  test('the operator’s and a domain’s demand for the same certificate are told apart, since only one proves whose host it is', () => {
    expect(key({ sts: 'enforced' })).not.toBe(key({ level: 'verify' }));
    expect(key({ dane: 'records', named: 'proven' })).not.toBe(key({ dane: 'records', named: 'unproven' }));
    expect(key({ dane: 'unusable' })).toBe(key({ level: 'encrypt' }));
  });
});

describe('whatever is known', () => {
  const anyFacts = fc.record({
    dane: fc.constantFrom(...(Object.keys(FINDINGS) as (keyof typeof FINDINGS)[])),
    sts: fc.constantFrom(...(Object.keys(STS) as (keyof typeof STS)[])),
    named: fc.constantFrom('proven' as const, 'unproven' as const, 'operator' as const),
    level: fc.constantFrom<TlsLevel>('none', 'opportunistic', 'encrypt', 'verify', 'dane'),
    names: fc.constantFrom(undefined, ['a.test']),
    modes: fc.record({
      dane: fc.constantFrom('on', 'audit', 'off'),
      mtaSts: fc.constantFrom('on', 'audit', 'off'),
    }) as fc.Arbitrary<TlsFacts['modes']>,
    message: fc.record({ requireTls: fc.boolean(), tlsOptional: fc.boolean() }),
  });
  /** How much is demanded: a host that is passed over gets nothing, and so nothing in clear. */
  const strength = (demand: Demand) => {
    const at = ['clear', 'offered', 'any', 'pkix', 'dane', 'dane+pkix'].indexOf(word(demand));
    return at === -1 ? 6 : Math.min(at, 4) + (at === 5 ? 1 : 0);
  };
  const cases = { numRuns: 3000 };

  test('there is an answer, and it is consistent', () => {
    fc.assert(
      fc.property(anyFacts, (change) => {
        const { demand, shadow } = decideTls(facts(change));
        for (const one of [demand, shadow].filter((one) => one !== undefined)) {
          if (one.kind === 'skip') continue;
          if (one.pkix !== undefined || one.dane !== undefined || one.keyword) expect(one.tls).toBe('required');
          expect(one.source === undefined).toBe(one.tls !== 'required');
        }
        if (shadow !== undefined) expect(shadow).not.toEqual(demand);
      }),
      cases,
    );
  });
  test('no mail is sent in clear if a policy forbids it', () => {
    fc.assert(
      fc.property(anyFacts, (change) => {
        const { demand } = decideTls(facts(change));
        const { level, named, modes, message } = change;
        const obeys = named !== 'operator' && !(message.tlsOptional && !message.requireTls) && level !== 'none';
        const isDane = obeys && modes.dane === 'on' && change.dane !== 'none';
        const isSts = obeys && modes.mtaSts === 'on' && STS[change.sts]?.mode === 'enforce';
        if (message.requireTls || isDane || isSts || ['encrypt', 'verify', 'dane'].includes(level))
          expect(demand.kind === 'skip' || demand.tls).toBe(demand.kind === 'skip' ? true : 'required');
      }),
      cases,
    );
  });
  test('a certificate that a policy demands is for the name of the MX record, also if the operator names others', () => {
    fc.assert(
      fc.property(anyFacts, (change) => {
        const { demand } = decideTls(facts(change));
        if (demand.kind === 'skip' || demand.pkix === undefined) return;
        const isOwn = change.level === 'verify' && demand.source === 'operator';
        if (!isOwn && demand.source !== 'dane') expect(demand.pkix.names).toEqual(['mx.test']);
      }),
      cases,
    );
  });
  test('more security on their side never makes less of it on ours', () => {
    fc.assert(
      fc.property(anyFacts, (change) => {
        const now = decideTls(facts(change)).demand;
        const holds = (less: Partial<Change>, most: number) => {
          const before = decideTls(facts({ ...change, ...less })).demand;
          // Where something is missing, more of it opens a way.
          if (before.kind === 'skip' && ['requiretls', 'dane-required'].includes(before.why)) return;
          expect(Math.min(strength(now), most)).toBeGreaterThanOrEqual(Math.min(strength(before), most));
        };
        holds({ sts: 'none' }, 6);
        // A certificate of a public authority is as good as one that matches a record; of a foreign host neither helps.
        if (change.sts !== 'foreign') holds({ dane: 'none' }, 3);
      }),
      cases,
    );
  });
  test('a message that asks for TLS never gets less than one that does not', () => {
    fc.assert(
      fc.property(anyFacts, (change) => {
        const required = strength(decideTls(facts({ ...change, message: { requireTls: true, tlsOptional: false } })).demand);
        expect(required).toBeGreaterThanOrEqual(strength(decideTls(facts({ ...change, message: {} })).demand));
        expect(required).toBeGreaterThanOrEqual(3);
      }),
      cases,
    );
  });
});
