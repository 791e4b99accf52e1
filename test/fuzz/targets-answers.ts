/** What we asked for and then got: answers of the DNS and of a certificate authority. Held to what `targets.ts` says. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { gatherDmarc, gatherSpf } from '../../src/alignment/alignment.ts';
import { AcmeError, problemOf } from '../../src/certificates/acme-error.ts';
import { fetchRenewalInformation } from '../../src/certificates/ari.ts';
import { parseRetryAfter } from '../../src/certificates/transport.ts';
import type { Dns, DnsAnswer } from '../../src/dns/dns.ts';
import { decodeMessage, describeFailure, isAnswerTo, readA, readHost, readNegativeTtl, readText } from '../../src/dns/message.ts';
import { checkDmarc } from '../../src/doctor/dmarc.ts';
import { checkSpf } from '../../src/doctor/spf.ts';
import { readKeyRecord } from '../../src/signing/key-record.ts';
import { parseTags } from '../../src/signing/tags.ts';
import { inEnglish } from '../../src/system/phrase.ts';
import { findStsId, parsePolicy, policyNames } from '../../src/tls-policy/mta-sts.ts';
import { readReportRecord } from '../../src/tls-policy/report-record.ts';

const LARGEST_DATAGRAM = 65_507;

/** A message of the DNS: RFC 1035 §4. What it holds is read by each reader of data, whatever type it says it is. */
export function dnsAnswers(input: Buffer): string {
  const message = decodeMessage(input.subarray(0, LARGEST_DATAGRAM));
  if (message === undefined) return 'nothing';
  const asked = { name: message.question?.name ?? 'example.org', type: 'A' } as const;
  assert.equal(isAnswerTo(message, asked, message.id ^ 1), false, 'an answer to another question is none');
  const records = [...message.answers, ...message.authorities];
  for (const { name, start, end } of records) {
    assert.match(name, /^[!-~]*$/);
    assert.ok(start <= end && end <= message.bytes.length);
  }
  const read = records.flatMap(({ start, end }) =>
    [readA, readHost, readText, readNegativeTtl].map((reader) => {
      try {
        return typeof reader(message.bytes, start, end);
      } catch (error) {
        assert.ok(error instanceof RangeError);
        return 'error';
      }
    }),
  );
  return `${inEnglish(describeFailure(message))} ${message.isAuthentic} ${[...new Set(read)].sort()}`;
}

const DOMAIN = 'example.org';
const none: DnsAnswer<never> = { kind: 'none' };
const QUESTION = { domain: DOMAIN, hostname: 'relay.example.net', addresses: ['192.0.2.1'], timeout: 1000 };

/** Text records as others publish them: a key's tags, SPF (the second line is what it includes or redirects to), DMARC. */
export async function dnsTexts(input: Buffer): Promise<string> {
  const [text = '', other = ''] = input.toString('utf8', 0, 4096).split('\n');
  for (const [name, value] of parseTags(text)) {
    assert.equal(name, name.trim());
    assert.doesNotMatch(value, /\s/);
  }
  const found = (name: string): DnsAnswer<string> =>
    ({ kind: 'found', values: [name === DOMAIN ? text : other] }) as DnsAnswer<string>;
  const nothing = () => Promise.resolve(none);
  const dns: Dns = { mx: nothing, a: nothing, aaaa: nothing, ptr: nothing, txt: (name) => Promise.resolve(found(name)) };
  const spf = checkSpf(await gatherSpf({ ...QUESTION, dns }));
  const dmarc = checkDmarc(
    await gatherDmarc(DOMAIN, { ...dns, txt: async (name) => found(name === `_dmarc.${DOMAIN}` ? DOMAIN : name) }),
  );
  return `${spf.result} ${dmarc.result} ${parseTags(text).has('p')}`;
}

/** A key as its owner published it: what a verifier would discard is named in one line, what it takes is taken again. */
export function keyRecords(input: Buffer): string {
  const reading = readKeyRecord(input.toString('utf8'));
  if ('wrong' in reading) {
    assert.match(reading.wrong, /^[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,600}$/);
    return `${reading.wrong.replace(/".*"/, '').slice(0, 24)}`;
  }
  const { type, publicKey } = reading.record;
  assert.ok(publicKey.length > 0 && publicKey.length % 4 === 0);
  assert.deepEqual(readKeyRecord(`v=DKIM1; k=${type}; p=${publicKey}`), reading);
  return `${type} ${publicKey.endsWith('=')}`;
}

/** Records of `_mta-sts`, one a line: an id is one, and is found in its plainest form too. */
export function stsRecords(input: Buffer): string {
  const id = findStsId(input.toString('utf8').split('\n'));
  if (id === undefined) return 'none';
  assert.match(id, /^[A-Za-z0-9]{1,32}$/);
  assert.equal(findStsId([`v=STSv1; id=${id};`]), id);
  return `found ${id.length === 32}`;
}

/** Records of `_smtp._tls`, one a line: where a report goes is one mailbox or one https URI, and reads the same again. */
export function reportRecords(input: Buffer): string {
  const targets = readReportRecord(input.toString('utf8').split('\n'));
  if (targets === undefined) return 'none';
  assert.ok(targets.length > 0 && targets.length <= 5);
  for (const target of targets) {
    assert.match(target.uri, /^[ -~]+$/);
    if (target.transport === 'mailto') assert.match(target.address, /^[^\x00-\x1f\x7f-\uffff]+@[a-z0-9_.-]+\.[a-z0-9_.-]+$/);
    else {
      const { protocol, hostname, username, password, hash } = new URL(target.uri);
      assert.deepEqual([protocol, username, password, hash, isIP(hostname)], ['https:', '', '', '', 0]);
      assert.ok(hostname.includes('.'));
      assert.deepEqual(readReportRecord([`v=TLSRPTv1;rua=${target.uri}`]) ?? [target], [target]);
    }
  }
  return [...new Set(targets.map(({ transport }) => transport)), targets.length].join(' ');
}

/** A policy file: what is read of one is read of its own lines again, and names the hosts that stand in it. */
export function stsPolicies(input: Buffer): string {
  const policy = parsePolicy(input);
  if ('invalid' in policy) {
    const why = inEnglish(policy.invalid);
    assert.match(why, /^[ -~]{1,100}$/);
    return why.replaceAll(/\d+/g, 'n');
  }
  const { mode, maxAge, mx, text } = policy;
  assert.deepEqual(parsePolicy(Buffer.from(text)), policy);
  assert.ok(maxAge >= 0 && maxAge <= 31_557_600 && (mode === 'none') === (mx.length === 0));
  for (const name of mx.slice(0, 100)) {
    assert.match(name, /^(?:\*\.)?[a-z0-9_.-]{1,253}$/);
    const host = name.replace('*', 'mx');
    assert.equal(policyNames(policy, host), !/^[0-9.]+$/.test(host));
    assert.ok(!policyNames({ mx: [name] }, `a.b.${host}`));
  }
  return `${mode} ${mx.length > 1} ${mx.some((name) => name.startsWith('*'))}`;
}

const CERTIFICATE = `-----BEGIN CERTIFICATE-----
MIIBcDCCARagAwIBAgIFAIdlQyEwCgYIKoZIzj0EAwIwFDESMBAGA1UEAwwJZnV6
ei50ZXN0MCAXDTI2MTEyMjAyMzM0N1oYDzIxMjYxMDI5MDIzMzQ3WjAUMRIwEAYD
VQQDDAlmdXp6LnRlc3QwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQtboFZ/ptV
uoKtLQzwwdUTiFWhhdx/HPfNLLcriLJ7DHdjV9sWUtTN09jy43bl1IV2KpUTOIJ0
4H6XXt/s9f3yo1MwUTAdBgNVHQ4EFgQU5hO0bifOxfrixBUGAcg3uvFIvFQwHwYD
VR0jBBgwFoAU5hO0bifOxfrixBUGAcg3uvFIvFQwDwYDVR0TAQH/BAUwAwEB/zAK
BggqhkjOPQQDAgNIADBFAiAti2cU82t4yiQnHOjytpHFZ+MESs1U1fMPSiiQw90s
MAIhAPTD0VqGSZet3e+UI8W8tjcasqgr+CZJpiHPg/ymDn/Z
-----END CERTIFICATE-----
`;

/** Blocks behind empty lines: status and Retry-After, the directory, the renewal information; each may be a problem document. */
export async function acmeAnswers(input: Buffer): Promise<string> {
  const [head = '', directory = '', information = ''] = input.toString('utf8').split('\n\n');
  const [status = '', wait = ''] = head.split('\n');
  const now = 1_700_000_000_000;
  const retryAfter = parseRetryAfter(wait, now);
  const bodies = [directory, information];
  const transport = {
    send: async ({ url }: { readonly url: string }) => {
      assert.match(new URL(url).protocol, /^https?:$/);
      return { status: Number(status) || 200, headers: {}, body: bodies.shift() ?? '', retryAfter };
    },
    close: () => {},
  };
  const problem = problemOf(403, directory, 'https://ca.example/acme', retryAfter);
  assert.doesNotMatch(problem.message, /[\x00-\x1f\x7f-\x9f]/);
  assert.ok(problem.message.length <= 700, 'an authority cannot fill the log');
  try {
    const { window, checkAt, explanation } = await fetchRenewalInformation(transport, {
      directory: 'https://ca.example/directory',
      certificate: CERTIFICATE,
      now,
    });
    assert.ok(checkAt > now && (window === undefined || window.start < window.end));
    assert.doesNotMatch(explanation ?? '', /[\x00-\x1f\x7f-\x9f]/);
    return `${window === undefined} ${explanation === undefined}`;
  } catch (error) {
    if (!(error instanceof AcmeError)) throw error;
    return `${problem.type} ${error.message.slice(0, 40)}`;
  }
}
