/** ACME Renewal Information: asks the authority when a certificate should be renewed. RFC 9773. */
import { X509Certificate } from 'node:crypto';
import { DAY } from '../system/clock.ts';
import { AcmeError, problemOf, tidy } from './acme-error.ts';
import { recheckAfter, type SuggestedWindow } from './renewal.ts';
import type { Transport } from './transport.ts';

export type RenewalInformation = {
  /** Absent: the authority makes no suggestion. */
  readonly window?: SuggestedWindow;
  /** URL where the authority explains its suggestion to the operator. */
  readonly explanation?: string;
  /** When to ask again: milliseconds since the epoch. */
  readonly checkAt: number;
};

/** @throws AcmeError if the authority gives no usable answer. */
export async function fetchRenewalInformation(
  transport: Transport,
  { directory, certificate, now }: { directory: string; certificate: string; now: number },
): Promise<RenewalInformation> {
  const { renewalInfo } = await getJson(transport, directory).then(({ json }) => json);
  const id = certificateId(certificate);
  if (typeof renewalInfo !== 'string' || id === undefined) return { checkAt: now + DAY };
  const url = `${renewalInfo.replace(/\/$/, '')}/${id}`;
  if (!isWebAddress(url)) throw new AcmeError(`the authority names no usable address for renewal: ${tidy(renewalInfo)}`);
  const { json, retryAfter } = await getJson(transport, url);
  const checkAt = now + recheckAfter(retryAfter === undefined ? undefined : retryAfter - now);
  const window = json['suggestedWindow'] as Record<string, unknown> | undefined;
  const [start, end] = [Date.parse(String(window?.['start'])), Date.parse(String(window?.['end']))];
  // RFC 9773 §4.2: a window that ends before it starts is invalid
  if (!(start < end)) throw new AcmeError(`the authority suggests no usable time at ${new URL(url).pathname}`);
  const explanation = json['explanationURL'];
  return {
    window: { start, end },
    checkAt,
    ...(typeof explanation === 'string' ? { explanation: tidy(explanation) } : {}),
  };
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
}

async function getJson(transport: Transport, url: string): Promise<{ json: Record<string, unknown>; retryAfter?: number }> {
  const { status, body, retryAfter } = await transport.send({ method: 'GET', url });
  if (status !== 200) throw problemOf(status, body, url, retryAfter);
  try {
    const json: unknown = JSON.parse(body);
    if (typeof json === 'object' && json !== null)
      return { json: json as Record<string, unknown>, ...(retryAfter === undefined ? {} : { retryAfter }) };
  } catch {
    // reported below, with the address
  }
  throw new AcmeError(`the authority sent no JSON at ${new URL(url).pathname}`, { status });
}

/**
 * The id of a certificate at its authority: base64url of its authority key identifier and of its serial number. RFC 9773 §4.1.
 * @param certificate PEM, leaf first. @returns undefined if it has no authority key identifier.
 */
export function certificateId(certificate: string): string | undefined {
  const leaf = new X509Certificate(certificate);
  const keyId = authorityKeyIdentifier(leaf.raw);
  if (keyId === undefined) return undefined;
  const hex = leaf.serialNumber;
  const serial = Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex');
  const integer = (serial[0] ?? 0) >= 0x80 ? Buffer.concat([Buffer.from([0]), serial]) : serial; // DER: a leading zero keeps the number positive
  return `${keyId.toString('base64url')}.${integer.toString('base64url')}`;
}

const SEQUENCE = 0x30;
const OCTET_STRING = 0x04;
const EXTENSIONS = 0xa3;
const KEY_IDENTIFIER = 0x80;
/** 2.5.29.35: RFC 5280 §4.2.1.1. */
const AUTHORITY_KEY_IDENTIFIER = Buffer.of(0x06, 0x03, 0x55, 0x1d, 0x23);

/** @param der a certificate that OpenSSL has parsed already, so its lengths are right. */
function authorityKeyIdentifier(der: Buffer): Buffer | undefined {
  const tbs = children(children(der)[0]!.content)[0]!;
  const extensions = children(tbs.content).find(({ tag }) => tag === EXTENSIONS);
  if (extensions === undefined) return undefined;
  for (const { content } of children(children(extensions.content)[0]!.content)) {
    if (!content.subarray(0, AUTHORITY_KEY_IDENTIFIER.length).equals(AUTHORITY_KEY_IDENTIFIER)) continue;
    const value = children(content).find(({ tag }) => tag === OCTET_STRING)?.content;
    const sequence = value && children(value).find(({ tag }) => tag === SEQUENCE)?.content;
    return sequence && children(sequence).find(({ tag }) => tag === KEY_IDENTIFIER)?.content;
  }
  return undefined;
}

/** Splits a sequence into its DER elements: X.690 §8.1, with lengths of up to four octets. */
function children(bytes: Buffer): readonly { readonly tag: number; readonly content: Buffer }[] {
  const found: { tag: number; content: Buffer }[] = [];
  for (let at = 0; at + 2 <= bytes.length; ) {
    const first = bytes[at + 1]!;
    const octets = first < 0x80 ? 0 : first & 0x7f;
    const length = octets === 0 ? first : bytes.readUIntBE(at + 2, octets);
    const start = at + 2 + octets;
    found.push({ tag: bytes[at]!, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}
