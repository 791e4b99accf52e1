/**
 * DANE before real parts: Knot signs, Unbound validates, hosts send chains good and hostile, and each row is judged by Postfix too
 * (`posttls-finger -l dane-only`, through OpenSSL's own DANE), and a Postfix with `smtp_tls_security_level = dane` sends a message of
 * its own to each row: the same host must take it, or none. RFC 6698, RFC 7671, RFC 7672.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Outcome } from '../../src/smtp/outcome.ts';
import { type Certified, makeAuthority, makeHost, served, tlsaOf } from '../support/chains.ts';
import { type DaneLab, type DaneRow, startDaneLab } from '../support/dane-lab.ts';
import { hasCommand, hasMountNamespaces, requirePeer } from '../support/peers.ts';
import { hasPostfix } from '../support/postfix.ts';

/** `unproven`: the certificate matches, and the MX records are not signed. */
type Word = 'verified' | 'unproven' | 'refused' | 'unusable' | 'none' | 'failed' | 'no-tls' | 'no-address';
type Row = Omit<DaneRow, 'name'> & {
  readonly what: string;
  readonly word: Word;
  /** Where posttls-finger says another word; the row has the rule that explains it. */
  readonly postfix?: Word;
  /** Whether Postfix sends; default: as its word says. */
  readonly sends?: boolean;
  /** The row whose host takes the mail; default: this one. */
  readonly taker?: string;
};

const SENT: readonly Word[] = ['verified', 'unproven', 'unusable', 'none'];

const present = [
  requirePeer('knot', hasCommand('knotd')),
  requirePeer('unbound', hasCommand('unbound')),
  requirePeer('postfix', hasPostfix() && hasCommand('posttls-finger') && hasMountNamespaces()),
].every(Boolean);

const KINDS = [
  [0, 0],
  [0, 1],
  [0, 2],
  [1, 0],
  [1, 1],
  [1, 2],
] as const;

/** Each row has names of its own, so its certificates are made for them. */
const rows: { readonly what: string; readonly make: (name: string) => Promise<Omit<Row, 'what'>> }[] = [];
function row(what: string, word: Word, make: (names: Names) => Promise<Omit<Row, 'what' | 'word'>>): void {
  rows.push({ what, make: async (name) => ({ word, ...(await make(namesOf(name))) }) });
}

type Names = { readonly domain: string; readonly host: string };
const namesOf = (name: string): Names => ({ domain: `${name}.lab.test`, host: `mx.${name}.lab.test` });

let root: Certified;
let middle: Certified;
let stranger: Certified;
const byRoot = (host: string) => makeHost({ names: [host], issuer: root });
const byMiddle = (host: string) => makeHost({ names: [host], issuer: middle });

for (const [selector, matching] of KINDS) {
  row(`the host itself, 3 ${selector} ${matching}`, 'verified', async ({ host }) => {
    const own = await byRoot(host);
    return { tls: served(own), tlsa: [tlsaOf(3, selector, matching, own)] };
  });
  row(`another than the host, 3 ${selector} ${matching}`, 'refused', async ({ host }) => ({
    tls: served(await byRoot(host)),
    tlsa: [tlsaOf(3, selector, matching, stranger)],
  }));
  row(`a root that is sent, 2 ${selector} ${matching}`, 'verified', async ({ host }) => ({
    tls: served(await byMiddle(host), middle, root),
    tlsa: [tlsaOf(2, selector, matching, root)],
  }));
  row(`an authority below the root, 2 ${selector} ${matching}`, 'verified', async ({ host }) => ({
    tls: served(await byMiddle(host), middle),
    tlsa: [tlsaOf(2, selector, matching, middle)],
  }));
  const isWhole = selector === 0 && matching === 0;
  // OpenSSL takes a whole key for an anchor by itself, as RFC 7671 §5.2.3 recommends. Node cannot, so the certificate of that key must
  // have been sent, as RFC 7672 §3.1.2 has it for every anchor.
  const ofKey = selector === 1 && matching === 0 ? { postfix: 'verified' as const } : {};
  row(`a root that is not sent, 2 ${selector} ${matching}`, isWhole ? 'verified' : 'refused', async ({ host }) => ({
    tls: served(await byRoot(host)),
    tlsa: [tlsaOf(2, selector, matching, root)],
    ...ofKey,
  }));
  row(`the host’s own certificate as its authority, 2 ${selector} ${matching}`, 'refused', async ({ host }) => {
    const own = await makeHost({ names: [host] });
    return { tls: served(own), tlsa: [tlsaOf(2, selector, matching, own)], ...ofKey };
  });
}

row('a host whose certificate has expired, 3 1 1', 'verified', async ({ host }) => {
  const own = await makeHost({ names: [host], expired: true });
  return { tls: served(own), tlsa: [tlsaOf(3, 1, 1, own)] };
});
row('a certificate of another name, 3 1 1', 'verified', async () => {
  const own = await byRoot('other.test');
  return { tls: served(own), tlsa: [tlsaOf(3, 1, 1, own)] };
});
row('a certificate without DNS names, 3 1 1', 'verified', async () => {
  const own = await makeHost({ commonName: 'nobody' });
  return { tls: served(own), tlsa: [tlsaOf(3, 1, 1, own)] };
});
row('an RSA key, 3 0 2', 'verified', async ({ host }) => {
  const own = await makeHost({ names: [host], rsa: 2048 });
  return { tls: served(own), tlsa: [tlsaOf(3, 0, 2, own)] };
});

/** Below an authority that is the anchor, with a certificate for these names. */
function named(
  what: string,
  word: Word,
  certificate: (names: Names) => Parameters<typeof makeHost>[0],
  more: (names: Names) => Partial<Row> = () => ({}),
) {
  row(`below an authority: ${what}`, word, async (names) => ({
    tls: served(await makeHost({ issuer: root, ...certificate(names) }), root),
    tlsa: [tlsaOf(2, 1, 1, root)],
    ...more(names),
  }));
}
named('the recipient’s domain as the name', 'verified', ({ domain }) => ({ names: [domain] }));
named('one name of several', 'verified', ({ host }) => ({ names: ['a.test', host, 'b.test'] }));
named('names in upper case', 'verified', ({ host }) => ({ names: [host.toUpperCase()] }));
named('another name', 'refused', () => ({ names: ['other.test'] }));
named('a common name alone', 'verified', ({ host }) => ({ commonName: host }));
named('a common name beside other DNS names', 'refused', ({ host }) => ({ commonName: host, names: ['other.test'] }));
named('a wildcard for the first label', 'verified', ({ domain }) => ({ names: [`*.${domain}`] }));
named('a wildcard for two labels', 'refused', () => ({ names: ['*.test'] }));
named('a wildcard for a part of a label', 'refused', ({ domain }) => ({ names: [`m*.${domain}`] }));
named('a wildcard in the middle', 'refused', ({ domain }) => ({ names: [`mx.*.${domain.split('.').slice(1).join('.')}`] }));
named('a certificate that has expired', 'refused', ({ host }) => ({ names: [host], expired: true }));
row('below an authority that has expired', 'refused', async ({ host }) => {
  const old = await makeAuthority('old', { issuer: root, expired: true });
  return { tls: served(await makeHost({ names: [host], issuer: old }), old, root), tlsa: [tlsaOf(2, 1, 1, root)] };
});
row('below an authority that signed more than it may', 'refused', async ({ host }) => {
  const short = await makeAuthority('short', { pathLength: 0 });
  const below = await makeAuthority('below', { issuer: short });
  return { tls: served(await makeHost({ names: [host], issuer: below }), below, short), tlsa: [tlsaOf(2, 1, 1, short)] };
});
row('a stranger that sends the true authority along', 'refused', async ({ host }) => ({
  tls: served(await makeHost({ names: [host] }), root),
  tlsa: [tlsaOf(2, 0, 1, root)],
}));
row('a stranger below an authority of the same name', 'refused', async ({ host }) => {
  const false_ = await makeAuthority('root');
  return { tls: served(await makeHost({ names: [host], issuer: false_ }), root), tlsa: [tlsaOf(2, 1, 1, root)] };
});
row('a self-signed certificate, sent twice as its own authority', 'refused', async ({ host }) => {
  const own = await makeHost({ names: [host] });
  return { tls: served(own, own), tlsa: [tlsaOf(2, 0, 1, own)] };
});
row('a whole chain out of order', 'verified', async ({ host }) => ({
  tls: served(await byMiddle(host), root, middle),
  tlsa: [tlsaOf(2, 1, 1, root)],
}));

/** Keys that OpenSSL accepts at its lowest security level alone. The server must be told to use one. */
const short = (own: Certified, ...others: readonly Certified[]) => ({ ...served(own, ...others), ciphers: 'DEFAULT@SECLEVEL=0' });
row('an RSA key of 1024 bits, 3 1 1', 'verified', async ({ host }) => {
  const own = await makeHost({ names: [host], rsa: 1024 });
  return { tls: short(own), tlsa: [tlsaOf(3, 1, 1, own)] };
});
row('an RSA key of 1024 bits, another certificate', 'refused', async ({ host }) => {
  const own = await makeHost({ names: [host], rsa: 1024 });
  return { tls: short(own), tlsa: [tlsaOf(3, 1, 1, stranger)] };
});
row('an RSA key of 1024 bits below an authority', 'verified', async ({ host }) => {
  const own = await makeHost({ names: [host], issuer: root, rsa: 1024 });
  return { tls: short(own, root), tlsa: [tlsaOf(2, 1, 1, root)] };
});
row('an authority with an RSA key of 1024 bits', 'verified', async ({ host }) => {
  const weak = await makeAuthority('weak', { rsa: 1024 });
  const own = await makeHost({ names: [host], issuer: weak });
  return { tls: short(own, weak), tlsa: [tlsaOf(2, 1, 1, weak)] };
});

/** Below an authority that is limited, itself below the root. @param anchor which of both the record means */
function limited(
  what: string,
  word: Word,
  options: (names: Names) => Parameters<typeof makeAuthority>[1],
  anchor: 'root' | 'itself' = 'root',
) {
  row(`below an authority that ${what}`, word, async (names) => {
    const authority = await makeAuthority('limited', { issuer: root, ...options(names) });
    const own = await makeHost({ names: [names.host], issuer: authority });
    return { tls: served(own, authority, root), tlsa: [tlsaOf(2, 0, 1, anchor === 'root' ? root : authority)] };
  });
}
limited('may sign this name', 'verified', ({ domain }) => ({ permitted: domain }));
limited('may sign other names only', 'refused', () => ({ permitted: 'other.test' }));
limited('may not sign this name', 'refused', ({ domain }) => ({ excluded: domain }));
limited('may not sign other names', 'verified', () => ({ excluded: 'other.test' }));
limited('is the anchor, and may sign this name', 'verified', ({ domain }) => ({ permitted: domain }), 'itself');
limited('is the anchor, and may sign other names only', 'refused', () => ({ permitted: 'other.test' }), 'itself');
limited('is none', 'refused', () => ({ isAuthority: false }));
row('a certificate for clients only, 3 1 1', 'verified', async ({ host }) => {
  const own = await makeHost({ names: [host], usage: 'client' });
  return { tls: served(own), tlsa: [tlsaOf(3, 1, 1, own)] };
});
named('a certificate for clients only', 'refused', ({ host }) => ({ names: [host], usage: 'client' }));

/** Records that are wanted, before a host with a certificate below the root. */
function records(what: string, word: Word, tlsa: (own: Certified) => readonly string[]) {
  row(what, word, async ({ host }) => {
    const own = await byRoot(host);
    return { tls: served(own, root), tlsa: tlsa(own) };
  });
}
records('a wrong host and the right authority', 'verified', () => [tlsaOf(3, 1, 1, stranger), tlsaOf(2, 1, 1, root)]);
records('the right host and a wrong authority', 'verified', (own) => [tlsaOf(3, 1, 1, own), tlsaOf(2, 1, 1, stranger)]);
records('one right of three', 'verified', (own) => [tlsaOf(3, 1, 1, stranger), tlsaOf(3, 0, 1, stranger), tlsaOf(3, 1, 1, own)]);
records('a useless one beside a right one', 'verified', (own) => [tlsaOf(1, 1, 1, own), tlsaOf(3, 1, 1, own)]);
records('a useless one beside a wrong one', 'refused', (own) => [tlsaOf(1, 1, 1, own), tlsaOf(3, 1, 1, stranger)]);
records('a right weak digest beside a wrong strong one', 'refused', (own) => [tlsaOf(3, 1, 1, own), tlsaOf(3, 1, 2, stranger)]);
records('a wrong weak digest beside a right strong one', 'verified', (own) => [tlsaOf(3, 1, 1, stranger), tlsaOf(3, 1, 2, own)]);
records('a strong digest of another selector', 'verified', (own) => [tlsaOf(3, 1, 1, own), tlsaOf(3, 0, 2, stranger)]);
records('twelve whole certificates, over TCP', 'verified', (own) => [
  ...Array.from({ length: 11 }, (_, i) => tlsaOf(3, 0, 1, stranger).slice(0, -2) + String(10 + i)),
  ...[tlsaOf(2, 0, 0, root), tlsaOf(2, 0, 0, middle), tlsaOf(3, 0, 0, stranger), tlsaOf(3, 0, 0, own)],
]);
records('usage 0', 'unusable', () => [tlsaOf(0, 0, 1, root)]);
records('usage 1', 'unusable', (own) => [tlsaOf(1, 1, 1, own)]);
records('a digest of an unknown kind', 'unusable', (own) => [tlsaOf(3, 1, 1, own).replace('3 1 1', '3 1 9')]);
records('a digest that is too short', 'unusable', (own) => [tlsaOf(3, 1, 1, own).slice(0, -2)]);
records('a certificate in place of a key', 'unusable', (own) => [tlsaOf(3, 0, 0, own).replace('3 0 0', '3 1 0')]);
records('the digest of nothing', 'refused', () => ['3 1 1 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855']);
records('none', 'none', () => []);

/** Zone lines, before a host that its `3 1 1` record fits. */
function zone(
  what: string,
  word: Word,
  lines: (right: string, wrong: string, names: Names) => readonly string[],
  more: (names: Names) => Partial<Row> = () => ({}),
) {
  row(what, word, async (names) => {
    const own = await byRoot(names.host);
    const at = names.domain.split('.')[0]!;
    const written = lines(tlsaOf(3, 1, 1, own), tlsaOf(3, 1, 1, stranger), names);
    return {
      tls: served(own),
      zone: written.map((line) => line.replaceAll('DOMAIN', `${names.domain}.`).replaceAll('ROW', at)),
      ...more(names),
    };
  });
}
const MX = 'DOMAIN 60 IN MX 10 HOST';
const A = 'HOST 60 IN A IP';
zone('a record of two octets', 'unusable', () => [MX, A, '_PORT._tcp.HOST 60 IN TYPE52 \\# 2 0301']);
zone('no MX: the domain is the host', 'verified', (right) => ['DOMAIN 60 IN A IP', `_PORT._tcp.DOMAIN 60 IN TLSA ${right}`]);
zone('no MX, and another certificate', 'refused', (_, wrong) => ['DOMAIN 60 IN A IP', `_PORT._tcp.DOMAIN 60 IN TLSA ${wrong}`]);
const ALIAS = ['DOMAIN 60 IN CNAME t.DOMAIN', 't.DOMAIN 60 IN A IP'];
zone('no MX, the domain is an alias: records at its target', 'verified', (right) => [
  ...ALIAS,
  `_PORT._tcp.t.DOMAIN 60 IN TLSA ${right}`,
]);
zone('no MX, the domain is an alias: records at itself alone', 'verified', (right) => [
  ...ALIAS,
  `_PORT._tcp.DOMAIN 60 IN TLSA ${right}`,
]);
zone('no MX, the domain is an alias: wrong at its target and right at itself', 'refused', (right, wrong) => [
  ...ALIAS,
  ...[`_PORT._tcp.t.DOMAIN 60 IN TLSA ${wrong}`, `_PORT._tcp.DOMAIN 60 IN TLSA ${right}`],
]);
zone('an alias, records at its target', 'verified', (right) => [
  MX,
  'HOST 60 IN CNAME t.DOMAIN',
  't.DOMAIN 60 IN A IP',
  `_PORT._tcp.t.DOMAIN 60 IN TLSA ${right}`,
]);
zone('an alias, records at itself alone', 'verified', (right) => [
  MX,
  'HOST 60 IN CNAME t.DOMAIN',
  't.DOMAIN 60 IN A IP',
  `_PORT._tcp.HOST 60 IN TLSA ${right}`,
]);
zone('an alias, wrong at its target and right at itself', 'refused', (right, wrong) => [
  ...[MX, 'HOST 60 IN CNAME t.DOMAIN', 't.DOMAIN 60 IN A IP'],
  ...[`_PORT._tcp.t.DOMAIN 60 IN TLSA ${wrong}`, `_PORT._tcp.HOST 60 IN TLSA ${right}`],
]);
zone('an alias into a zone without signatures', 'verified', (right) => [
  MX,
  'HOST 60 IN CNAME ROW.plain.test.',
  'ROW.plain.test. 60 IN A IP',
  `_PORT._tcp.HOST 60 IN TLSA ${right}`,
]);
zone('the same, and another certificate', 'refused', (_, wrong) => [
  MX,
  'HOST 60 IN CNAME ROW.plain.test.',
  'ROW.plain.test. 60 IN A IP',
  `_PORT._tcp.HOST 60 IN TLSA ${wrong}`,
]);
zone('the same without records', 'none', () => [MX, 'HOST 60 IN CNAME ROW.plain.test.', 'ROW.plain.test. 60 IN A IP']);
zone('an alias of an alias, records in the middle', 'none', (_, wrong) => [
  ...[MX, 'HOST 60 IN CNAME m.DOMAIN', 'm.DOMAIN 60 IN CNAME t.DOMAIN', 't.DOMAIN 60 IN A IP'],
  `_PORT._tcp.m.DOMAIN 60 IN TLSA ${wrong}`,
]);
zone('records behind an alias', 'verified', (right) => [
  MX,
  A,
  '_PORT._tcp.HOST 60 IN CNAME keys.DOMAIN',
  `keys.DOMAIN 60 IN TLSA ${right}`,
]);
zone('records behind an alias into a zone without signatures', 'none', (_, wrong) => [
  MX,
  A,
  '_PORT._tcp.HOST 60 IN CNAME ROW.plain.test.',
  `ROW.plain.test. 60 IN TLSA ${wrong}`,
]);
zone('records behind an alias into a broken zone', 'failed', (right) => [
  MX,
  A,
  '_PORT._tcp.HOST 60 IN CNAME ROW.bogus.test.',
  `ROW.bogus.test. 60 IN TLSA ${right}`,
]);
zone('records behind an alias that leads nowhere', 'none', () => [MX, A, '_PORT._tcp.HOST 60 IN CNAME nowhere.DOMAIN']);
zone('a wildcard as records', 'verified', (right) => [MX, A, `*.HOST 60 IN TLSA ${right}`]);
zone('a host in a zone without signatures', 'none', (_, wrong) => [
  'DOMAIN 60 IN MX 10 ROW.plain.test.',
  'ROW.plain.test. 60 IN A IP',
  `_PORT._tcp.ROW.plain.test. 60 IN TLSA ${wrong}`,
]);
zone('a host in a broken zone', 'no-address', (right) => [
  'DOMAIN 60 IN MX 10 ROW.bogus.test.',
  'ROW.bogus.test. 60 IN A IP',
  `_PORT._tcp.ROW.bogus.test. 60 IN TLSA ${right}`,
]);
zone(
  'MX records without signatures, and a host with',
  'unproven',
  (right) => ['ROW.plain.test. 60 IN MX 10 HOST', A, `_PORT._tcp.HOST 60 IN TLSA ${right}`],
  ({ domain }) => ({ domain: `${domain.split('.')[0]}.plain.test` }),
);
zone(
  'the same, and another certificate',
  'refused',
  (_, wrong) => ['ROW.plain.test. 60 IN MX 10 HOST', A, `_PORT._tcp.HOST 60 IN TLSA ${wrong}`],
  ({ domain }) => ({ domain: `${domain.split('.')[0]}.plain.test` }),
);
zone(
  'the same without records',
  'none',
  () => ['ROW.plain.test. 60 IN MX 10 HOST', A],
  ({ domain }) => ({ domain: `${domain.split('.')[0]}.plain.test` }),
);
zone('a signed zone that opts out, a host without records', 'none', () => [
  'DOMAIN 60 IN MX 10 ROW.optout.test.',
  'ROW.optout.test. 60 IN A IP',
]);
zone('a signed zone that opts out, a host with records', 'refused', (_, wrong) => [
  'DOMAIN 60 IN MX 10 ROW.optout.test.',
  'ROW.optout.test. 60 IN A IP',
  `_PORT._tcp.ROW.optout.test. 60 IN TLSA ${wrong}`,
]);
zone('a zone that nobody vouches for, below one that opts out', 'none', (_, wrong) => [
  'DOMAIN 60 IN MX 10 ROW.child.optout.test.',
  'ROW.child.optout.test. 60 IN A IP',
  `_PORT._tcp.ROW.child.optout.test. 60 IN TLSA ${wrong}`,
]);
zone(
  'nothing signed',
  'none',
  () => ['ROW.plain.test. 60 IN MX 10 h.ROW.plain.test.', 'h.ROW.plain.test. 60 IN A IP'],
  ({ domain }) => ({ domain: `${domain.split('.')[0]}.plain.test` }),
);

row('a host without TLS, and records', 'no-tls', async () => ({ tlsa: [tlsaOf(3, 1, 1, stranger)] }));
row('a host without TLS, and useless records', 'no-tls', async () => ({
  tlsa: [tlsaOf(1, 1, 1, stranger)],
  // It says so before it connects. TLS is mandatory for both: RFC 7672 §2.2.
  postfix: 'unusable',
  sends: false,
}));
row('a domain behind an alias, its real name in the certificate', 'verified', async ({ domain }) => ({
  tls: served(await makeHost({ names: [`real.${domain}`], issuer: root }), root),
  zone: [
    ...[`${domain}. 60 IN CNAME real.${domain}.`, `real.${domain}. 60 IN MX 10 HOST`, A],
    `_PORT._tcp.HOST 60 IN TLSA ${tlsaOf(2, 1, 1, root)}`,
  ],
}));
for (const [at, word] of [
  ['t.', 'verified'],
  ['', 'refused'], // the names of such a host are the one with the records and that of the domain: RFC 7672 §3.2.2
] as const)
  row(
    `no MX, the domain is an alias: its target in the certificate, records at ${at === '' ? 'itself' : 'its target'}`,
    word,
    async ({ domain }) => ({
      tls: served(await makeHost({ names: [`t.${domain}`], issuer: root }), root),
      zone: [
        ...ALIAS.map((line) => line.replaceAll('DOMAIN', `${domain}.`)),
        `_PORT._tcp.${at}${domain}. 60 IN TLSA ${tlsaOf(2, 1, 1, root)}`,
      ],
    }),
  );
row('MX records without signatures: the recipient’s domain is no name for a certificate', 'refused', async ({ domain }) => {
  const plain = `${domain.split('.')[0]}.plain.test`;
  return {
    // RFC 7672 §3.2.2 has the domain as a name only where the MX records are proven; Postfix takes it anyway.
    postfix: 'unproven',
    domain: plain,
    tls: served(await makeHost({ names: [plain], issuer: root }), root),
    zone: [`${plain}. 60 IN MX 10 HOST`, A, `_PORT._tcp.HOST 60 IN TLSA ${tlsaOf(2, 1, 1, root)}`],
  };
});

/**
 * A first host that gets no mail, and behind it the host of an earlier row, which decides: RFC 7672 §2.2.
 * @param finger what posttls-finger says: it goes no further than the first host that it can connect to
 */
function second(first: string, word: Word, next: string, lines: readonly string[], finger: Word = word) {
  row(`${first}, and behind it: ${next}`, word, async ({ domain }) => {
    const taker = `r${rows.findIndex(({ what }) => what === next)}`;
    const mx = [`${domain}. 60 IN MX 10 HOST`, `${domain}. 60 IN MX 20 mx.${taker}.lab.test.`];
    const written = lines.map((line) => line.replaceAll('ROW', domain.split('.')[0]!).replaceAll('WRONG', tlsaOf(3, 1, 1, root)));
    const tls = finger === 'no-tls' ? {} : { tls: served(stranger) };
    return { taker, postfix: finger, sends: SENT.includes(word), zone: [...mx, ...written], ...tls };
  });
}
const WRONG = [A, '_PORT._tcp.HOST 60 IN TLSA WRONG'];
const BROKEN = ['HOST 60 IN CNAME ROW.bogus.test.', 'ROW.bogus.test. 60 IN A IP'];
const UNKNOWN = [A, '_PORT._tcp.HOST 60 IN CNAME ROW.bogus.test.', 'ROW.bogus.test. 60 IN TLSA WRONG'];
second('another certificate', 'verified', 'the host itself, 3 1 1', WRONG, 'refused');
second('another certificate', 'verified', 'an authority below the root, 2 1 1', WRONG, 'refused');
second('another certificate', 'none', 'none', WRONG, 'refused');
second('another certificate', 'unusable', 'usage 1', WRONG, 'refused');
second('another certificate', 'refused', 'another than the host, 3 1 1', WRONG, 'refused');
second('records that cannot be looked up', 'verified', 'the host itself, 3 1 1', UNKNOWN);
second('records that cannot be looked up', 'none', 'none', UNKNOWN);
second('a host without TLS, and records', 'verified', 'the host itself, 3 1 1', WRONG, 'no-tls');
second('a host without TLS, and records', 'none', 'none', WRONG, 'no-tls');
second('a host in a broken zone', 'verified', 'the host itself, 3 1 1', BROKEN);

/** What our outcome says. */
function ours({ kind, assurance, reply }: Outcome): Word | string {
  if (kind === 'relayed') {
    const words: Readonly<Record<string, Word>> = {
      dane: 'verified',
      'dane-insecure-mx': 'unproven',
      encrypt: 'unusable',
      tls: 'none',
      clear: 'none',
    };
    return words[assurance ?? ''] ?? `relayed ${assurance}`;
  }
  if (reply.status === '4.7.4') return 'no-tls';
  if (reply.status === '4.4.3') return 'no-address';
  if (reply.status !== '4.7.5') return reply.text;
  return reply.text.includes('(tlsa-lookup-failed)') ? 'failed' : 'refused';
}

/** What posttls-finger says. */
function postfixs(output: string): Word | string {
  const has = (...texts: readonly string[]) => texts.some((text) => output.includes(text));
  if (has('Verified TLS connection')) return 'verified';
  if (has('Trusted TLS connection') && has('MX RRset insecure')) return 'unproven';
  if (has('no usable TLSA records', 'all TLSA records unusable')) return 'unusable';
  if (has('no TLSA records found', 'non DNSSEC destination')) return 'none';
  if (has('TLSA lookup error')) return 'failed';
  if (has('address lookup failed')) return 'no-address';
  if (has('certificate verification failed')) return 'refused';
  return has('TLS connection established') ? output : 'no-tls';
}

describe.skipIf(!present)('a host', () => {
  let lab: DaneLab;
  const made: (Row & { readonly name: string })[] = [];
  beforeAll(async () => {
    root = await makeAuthority('root');
    middle = await makeAuthority('middle', { issuer: root });
    stranger = await makeHost({ names: ['stranger.test'] });
    for (const [i, { what, make }] of rows.entries()) made.push({ name: `r${i}`, what, ...(await make(`r${i}`)) });
    lab = await startDaneLab(made);
    const to = made.map(({ name, domain = `${name}.lab.test` }) => `postfix@${domain}`);
    await lab.postfix.sendmail(['-f', 'sender@sender.example.net', ...to], 'Subject: test\n\nHello\n');
  });
  afterAll(() => lab?.close());

  test.each(rows.map(({ what }, i) => [i, what] as const))('%i: %s', async (i) => {
    const { name, word, postfix = word, taker = name, domain = `${name}.lab.test` } = made[i]!;
    const [outcome] = await lab.relay.send(`a@${domain}`);
    expect(ours(outcome!), outcome!.reply.text).toBe(word);
    const isSent = SENT.includes(word);
    expect(outcome!.kind).toBe(isSent ? 'relayed' : 'delayed');
    expect(lab.takers(`a@${domain}`), 'who took our message').toEqual(isSent ? [taker] : []);
    const { obstacle, addresses } = await lab.survey(domain);
    expect(obstacle === undefined, `tls check: ${obstacle?.reply.text ?? addresses[0]?.sentence}`).toBe(isSent);
    const output = await lab.finger(domain, 'dane-only');
    expect(postfixs(output), output).toBe(postfix);
    const { sends = SENT.includes(postfix) } = made[i]!;
    const { status, line } = await lab.postfix.attempt(`postfix@${domain}`);
    expect(status, line).toBe(sends ? 'sent' : 'deferred');
    expect(lab.takers(`postfix@${domain}`), 'who took the message of Postfix').toEqual(sends ? [taker] : []);
  });

  test('there are enough of them', () => {
    expect(rows.length).toBeGreaterThanOrEqual(60);
  });
});
