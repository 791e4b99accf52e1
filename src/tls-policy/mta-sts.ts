/**
 * MTA-STS as domains write it, RFC 8461: the TXT record, the policy file, and which MX names a policy means. Strict, pure, and in
 * time linear to what is read.
 */
import { isIP } from 'node:net';
import { toAsciiDomain } from '../smtp/domain.ts';
import type { StoredStsPolicy } from '../store/store.ts';
import { type Phrase, phrase } from '../system/phrase.ts';

/** A policy that holds until `expiresAt`. Times in ms, `maxAge` in seconds. */
export type StsPolicy = Pick<StoredStsPolicy, 'domain' | 'id' | 'mode' | 'maxAge' | 'mx' | 'text' | 'fetchedAt' | 'expiresAt'>;

/** What a policy file says. */
export type PolicyFile = Pick<StsPolicy, 'mode' | 'maxAge' | 'mx' | 'text'>;

/** Why there is no policy though the domain announces one: the result types of TLS reports. */
export type StsProblem = {
  readonly type: 'sts-policy-fetch-error' | 'sts-policy-invalid' | 'sts-webpki-invalid';
  readonly why: Phrase;
};

/** A year, RFC 8461 §3.2. */
const MAX_AGE = 31_557_600;

/** Fields that are not known must still have this form: RFC 8461 §3.1, §3.2. */
const EXTENSION_NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,31}$/;
const RECORD_VALUE = /^[\x21-\x3a\x3c\x3e-\x7e]+$/;
const RECORD_ID = /^[A-Za-z0-9]{1,32}$/;

/**
 * The id that the TXT records of `_mta-sts.DOMAIN` announce: RFC 8461 §3.1. Other records may stand there too. Several announcements, or one
 * that is malformed, are none.
 * @param records the strings of each joined
 */
export function findStsId(records: readonly string[]): string | undefined {
  const ours = records.filter((record) => /^v=STSv1[ \t]*;/.test(record));
  return ours.length === 1 ? readRecord(ours[0]!) : undefined;
}

function readRecord(record: string): string | undefined {
  let id: string | undefined;
  const fields = record.split(';').map(withoutBlanks);
  if (fields.at(-1) === '') fields.pop(); // the last semicolon may end the record
  for (const field of fields.slice(1)) {
    const equals = field.indexOf('=');
    const [name, value] = [field.slice(0, equals), field.slice(equals + 1)];
    if (equals < 0 || !EXTENSION_NAME.test(name)) return undefined;
    if (!RECORD_VALUE.test(value)) return undefined;
    if (name !== 'id' || id !== undefined) continue; // a second id means nothing
    if (!RECORD_ID.test(value)) return undefined;
    id = value;
  }
  return id;
}

/** Of spaces and tabs, at both ends. A regular expression would look at each run of them as often as it is long. */
function withoutBlanks(text: string): string {
  let [start, end] = [0, text.length];
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return text.slice(start, end);
}

const isBlank = (code: number) => code === 0x20 || code === 0x09;

/** Why a policy file is none, in words for an operator. */
type InvalidPolicy = { readonly invalid: Phrase };

/** Reads a policy file: RFC 8461 §3.2. */
export function parsePolicy(bytes: Uint8Array): PolicyFile | InvalidPolicy {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return { invalid: phrase`it is not UTF-8` };
  }
  const lines = text.split('\n').map(readLine);
  while (lines.at(-1) === '') lines.pop();
  const fields = readFields(lines);
  return 'invalid' in fields ? fields : judge(fields, lines.join('\n'));
}

/** Lines end in LF or CRLF, and blanks before the end mean nothing. */
function readLine(line: string): string {
  let end = line.endsWith('\r') ? line.length - 1 : line.length;
  while (end > 0 && isBlank(line.charCodeAt(end - 1))) end--;
  return line.slice(0, end);
}

type Fields = { readonly known: ReadonlyMap<string, string>; readonly mx: readonly string[] };

/** The first of equal fields counts, except of `mx`. Empty lines mean nothing. */
function readFields(lines: readonly string[]): Fields | InvalidPolicy {
  const known = new Map<string, string>();
  const mx: string[] = [];
  for (const [at, line] of lines.entries()) {
    if (line === '') continue;
    const colon = line.indexOf(':');
    const name = line.slice(0, Math.max(colon, 0));
    const value = withoutBlanks(line.slice(colon + 1));
    if (!EXTENSION_NAME.test(name)) return { invalid: phrase`line ${at + 1} is not a field` };
    if (value === '' && name !== 'mx') return { invalid: phrase`line ${at + 1} has no value` };
    if (/[\x00-\x1f\x7f]/.test(value)) return { invalid: phrase`line ${at + 1} has a control character` };
    if (name === 'mx') mx.push(value);
    else if (!known.has(name)) known.set(name, value);
  }
  return { known, mx };
}

function judge({ known, mx }: Fields, text: string): PolicyFile | InvalidPolicy {
  const [version, mode, age] = ['version', 'mode', 'max_age'].map((name) => known.get(name));
  if (version !== 'STSv1')
    return { invalid: version === undefined ? phrase`it has no version` : phrase`its version is not STSv1` };
  if (mode === undefined) return { invalid: phrase`it has no mode` };
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none')
    return { invalid: phrase`its mode is not one of enforce, testing and none` };
  if (age === undefined) return { invalid: phrase`it has no max_age` };
  if (!/^[0-9]{1,10}$/.test(age)) return { invalid: phrase`its max_age is not a number of 1 to 10 digits` };
  const maxAge = Math.min(Number(age), MAX_AGE);
  if (mode === 'none') return { mode, maxAge, mx: [], text }; // who revokes a policy has no host to name
  if (mx.length === 0) return { invalid: phrase`it names no mx` };
  const patterns = mx.map(readPattern);
  const broken = patterns.indexOf(undefined);
  if (broken >= 0) return { invalid: phrase`its mx number ${broken + 1} is not a host name, nor *. and a domain` };
  return { mode, maxAge, mx: patterns as string[], text };
}

/** `*.` and a domain, or a host name, in A-labels. An IPv4 address has the form of a name, and no MX host is named so. */
function readPattern(value: string): string | undefined {
  const [star, name] = value.startsWith('*.') ? ['*.', value.slice(2)] : ['', value];
  if (isIP(name) === 4) return value;
  const ascii = toAsciiDomain(name);
  return ascii === undefined ? undefined : star + ascii;
}

/** Whether the policy names this MX host; `*.` stands for one label. RFC 8461 §4.1. @param mx lower case, without a final dot */
export function policyNames({ mx: patterns }: Pick<StsPolicy, 'mx'>, mx: string): boolean {
  if (isIP(mx) !== 0) return false;
  const dot = mx.indexOf('.');
  const parent = dot > 0 ? `*${mx.slice(dot)}` : undefined;
  return patterns.some((pattern) => pattern === mx || pattern === parent);
}
