/** The DKIM-Signature field: RFC 6376 §3.5, with ed25519-sha256 of RFC 8463. */
import { hash, sign } from 'node:crypto';
import { relaxValue, type SignedHeader } from './header-hash.ts';
import type { LoadedKey } from './key-ring.ts';

/** Lines of the field stay within this many characters. */
const MAX_LINE = 76;

type SignatureParts = {
  readonly header: SignedHeader;
  readonly bodyHash: string;
  /** Milliseconds since the epoch; `t=` says it in seconds. */
  readonly now: number;
};

/** What the signatures of several keys have in common: all but `a=`, `d=`, `s=` and `b=`. */
export function signatureTags({ header, bodyHash, now }: SignatureParts): string {
  return ` t=${Math.floor(now / 1000)};\r\n${foldNames(header.names)}\r\n bh=${bodyHash};\r\n b=`;
}

/**
 * Signs on the thread pool; the main thread goes on meanwhile.
 * @param canonical what `signedHeader` made. @param tags what `signatureTags` made.
 * @returns the whole field with CRLF.
 */
export async function makeSignature(key: LoadedKey, canonical: string, tags: string): Promise<string> {
  const value = ` v=1; a=${key.algorithm}; c=relaxed/relaxed;\r\n d=${key.domain}; s=${key.selector};\r\n${tags}`;
  const input = Buffer.from(`${canonical}dkim-signature:${relaxValue(value)}`, 'latin1');
  const signature = await signInput(key, input);
  return `DKIM-Signature:${value}${foldBase64(signature.toString('base64'))}\r\n`;
}

function signInput({ algorithm, key }: LoadedKey, input: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, signature: Buffer) => (error === null ? resolve(signature) : reject(error));
    if (algorithm === 'rsa-sha256') sign('sha256', input, key, done);
    // PureEdDSA over the hash of the header, not over the header: RFC 8463 §3
    else sign(null, hash('sha256', input, 'buffer'), key, done);
  });
}

/** ` h=a:b:…;`, folded after a colon. */
function foldNames(names: readonly string[]): string {
  if (names.length === last.names.length && names.every((name, i) => name === last.names[i])) return last.folded;
  last = { names, folded: newlyFolded(names) };
  return last.folded;
}

/** Mail of one program has the same fields each time. */
let last: { readonly names: readonly string[]; readonly folded: string } = { names: [], folded: '' };

function newlyFolded(names: readonly string[]): string {
  let folded = '';
  let line = ' h=';
  names.forEach((name, i) => {
    const item = i === names.length - 1 ? `${name};` : `${name}:`;
    if (line.length + item.length > MAX_LINE) {
      folded += `${line}\r\n`;
      line = ' ';
    }
    line += item;
  });
  return folded + line;
}

/** The first line is shorter by the ` b=` before it. */
function foldBase64(text: string): string {
  let folded = text.slice(0, MAX_LINE - 3);
  for (let i = MAX_LINE - 3; i < text.length; i += MAX_LINE - 1) folded += `\r\n ${text.slice(i, i + MAX_LINE - 1)}`;
  return folded;
}
