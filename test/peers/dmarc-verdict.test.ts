/** What the doctor expects of receivers, and what mailauth says of the bytes that leave: RFC 7208, RFC 6376, RFC 9989 §5.3. */
import { authenticate } from 'mailauth';
import { expect, test } from 'vitest';
import { gatherSender, judgeSender, type SenderVerdict, senderOf } from '../../src/alignment/alignment.ts';
import type { Dns, DnsAnswer } from '../../src/dns/dns.ts';
import { createDkimKeys, dkimRecord } from '../../src/signing/signing.ts';
import { data } from '../../src/system/phrase.ts';
import { prepare, signerWith } from '../support/prepare.ts';

const [ADDRESS, HELO, TOP] = ['203.0.113.5', 'relay.test', 'shop.test'];
const keys = await createDkimKeys({ domain: TOP, now: 0, state: 'active' });
const others = await createDkimKeys({ domain: TOP, now: 0, state: 'active' });

/** TXT records by name. All other names do not exist, except the senders' domains. */
type Texts = Readonly<Record<string, string | 'fault' | undefined>>;

const KEYS: Readonly<Record<string, (i: number) => string | undefined>> = {
  good: (i) => dkimRecord(keys[i]!).value,
  missing: () => undefined,
  different: (i) => dkimRecord(others[i]!).value,
  revoked: () => 'v=DKIM1; p=',
  'not answered': () => 'fault',
};
const SPF: Readonly<Record<string, string | undefined>> = {
  pass: `v=spf1 ip4:${ADDRESS} -all`,
  fail: 'v=spf1 -all',
  softfail: 'v=spf1 ~all',
  'not answered': 'fault',
  absent: undefined,
};
const POLICIES = [
  'p=reject',
  'p=reject; adkim=s',
  'p=quarantine; aspf=s; adkim=s',
  'p=none',
  'p=reject; sp=quarantine; np=none',
  'p=reject; t=y',
  'p=none; sp=reject; psd=n',
  'p=reject; psd=y',
  'fault',
];

function dnsOf(texts: Texts) {
  const txt = async (name: string): Promise<DnsAnswer<string>> => {
    const text = texts[name];
    if (text === 'fault') return { kind: 'temporary', why: data('SERVFAIL') };
    if (text === undefined) return { kind: name.startsWith('_') ? 'nxdomain' : 'none' };
    return { kind: 'found', values: [text] };
  };
  const none = async () => ({ kind: 'none' }) as const;
  const dns: Dns = { txt, a: none, aaaa: none, mx: none, ptr: none };
  const resolver = async (name: string, type: string) => {
    const answer = type === 'TXT' ? await txt(name) : await none();
    if (answer.kind === 'found') return answer.values.map((text) => [text]);
    const code = { none: 'ENODATA', nxdomain: 'ENOTFOUND', temporary: 'ESERVFAIL' }[answer.kind];
    throw Object.assign(new Error(code), { code });
  };
  return { dns, resolver };
}

/** The message as it leaves, signed by the keys of the domain or of the one above. */
async function sentFrom(domain: string): Promise<Buffer> {
  const text = `From: Ann <ann@${domain}>\r\nTo: bob@example.org\r\nSubject: Hello\r\n\r\nHello\r\n`;
  return (await prepare([Buffer.from(text)], { options: { signer: signerWith(keys) } })).bytes;
}

type Dmarc = { status: { result: string }; policy: string; alignment: Record<'spf' | 'dkim', { result?: string }> };

type Asked = {
  readonly domain: string;
  /** True if a key of the domain above is aligned. mailauth says it only of signatures that it could verify. */
  readonly mayBeAbove: boolean;
  readonly resolver: unknown;
};

/** `no policy`: mailauth could not look it up, and looks no further. */
async function byMailauth(message: Buffer, { domain, mayBeAbove, resolver }: Asked): Promise<SenderVerdict | 'no policy'> {
  const options = {
    ip: ADDRESS,
    helo: HELO,
    mta: 'mx.test',
    sender: `ann@${domain}`,
    resolver,
    disableArc: true,
    disableBimi: true,
  };
  const { dmarc, spf, dkim } = await authenticate(message, options as never);
  const { status, policy, alignment } = dmarc as unknown as Dmarc;
  if (status.result === 'temperror') return 'no policy';
  if (alignment.dkim.result !== undefined) return 'ok';
  // For a receiver, what it could not look up fails. A sender does not know what the next receiver finds.
  const results = (dkim as { results: { signingDomain: string; status: { result: string } }[] }).results;
  const isOurs = ({ signingDomain }: { signingDomain: string }) => signingDomain === domain || mayBeAbove;
  if (results.some((one) => one.status.result === 'temperror' && isOurs(one))) return 'unknown';
  if (alignment.spf.result !== undefined) return 'fragile';
  if ((spf as { status: { result: string } }).status.result === 'temperror') return 'unknown';
  return policy === 'reject' ? 'rejected' : policy === 'quarantine' ? 'spam' : 'weak';
}

const cases = [TOP, `a.${TOP}`].flatMap((domain) => POLICIES.map((policy) => ({ domain, policy })));

test.each(cases)('the same verdict for $domain under $policy, with each SPF and each key', async ({ domain, policy }) => {
  const message = await sentFrom(domain);
  const seen = new Set<string>();
  const differences: unknown[] = [];
  for (const [key, recordOf] of Object.entries(KEYS)) {
    for (const [spf, spfRecord] of Object.entries(SPF)) {
      const { dns, resolver } = dnsOf({
        [`_dmarc.${TOP}`]: policy === 'fault' ? policy : `v=DMARC1; ${policy}`,
        [domain]: spfRecord,
        ...Object.fromEntries(keys.map((one, i) => [dkimRecord(one).name, recordOf(i)])),
      });
      const facts = await gatherSender({ domain, hostname: HELO, addresses: [ADDRESS], keys, dns, timeout: 5000 });
      const ours = judgeSender(senderOf(facts));
      const mayBeAbove = !/adkim=s|psd=y/.test(policy);
      const theirs = await byMailauth(message, { domain, mayBeAbove, resolver });
      seen.add(ours);
      // The very name in From passes under each policy, also under one that is not known.
      const isSame = theirs === 'no policy' ? ['ok', 'fragile', 'unknown'].includes(ours) : ours === theirs;
      if (!isSame) differences.push({ key, spf, ours, theirs });
    }
  }
  expect(differences).toEqual([]);
  expect(seen.size).toBeGreaterThan(1);
});
