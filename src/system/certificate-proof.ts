/** What the certificate of a host was accepted by, as logs and traces keep it, and as a sentence for people. */
import { commaList, data, type Phrase, phrase } from './phrase.ts';

const SHOWN_OCTETS = 8;
/** Of an issuer: the host chooses it. */
const LONGEST_NAME = 100;

type Record = { readonly usage: number; readonly selector: number; readonly matching: number; readonly data: Buffer };

/** The first octets of the data tell records of one kind apart, while a host changes its key. @param base where the records are. */
export function tlsaProof({ usage, selector, matching, data: bytes }: Record, base: string): string {
  return `TLSA ${usage} ${selector} ${matching} ${bytes.toString('hex', 0, SHOWN_OCTETS).toUpperCase()}… of ${base}`;
}

/** @param issuer one line. */
export const issuerProof = (issuer: string): string => `issued by ${issuer.slice(0, LONGEST_NAME)}`;

/** A record, an issuer, or both, as the two above have written them. */
const WRITTEN = /^(?:(TLSA \d+ \d+ \d+ \S+) of ([^\s,]+))?(?:(?:, |^)issued by (.*))?$/s;

/** @param proof of an earlier version it may be anything, and stays as it is. */
export function proofPhrase(proof: string): Phrase {
  const [, record, base, issuer] = WRITTEN.exec(proof) ?? [];
  const parts = [
    ...(record === undefined || base === undefined ? [] : [phrase`${record} of ${base}`]),
    ...(issuer === undefined ? [] : [phrase`issued by ${issuer}`]),
  ];
  return parts.length === 0 ? data(proof) : commaList(parts);
}
