/** What a server offers in its reply to EHLO: RFC 5321 §4.1.1.1. */
import type { RemoteReply } from './reply-reader.ts';

export type Extensions = {
  /** False: EHLO was refused for another reason than that the host does not know it, so it may have extensions. */
  readonly known: boolean;
  readonly pipelining: boolean;
  readonly size: boolean;
  readonly eightBitMime: boolean;
  readonly smtpUtf8: boolean;
  readonly dsn: boolean;
  readonly startTls: boolean;
  /** It promises what RFC 8689 §4.2.1 asks, in a session that is verified. */
  readonly requireTls: boolean;
  /** Upper case. */
  readonly auth: readonly string[];
};

/** After HELO. */
export const NO_EXTENSIONS: Extensions = {
  known: true,
  pipelining: false,
  size: false,
  eightBitMime: false,
  smtpUtf8: false,
  dsn: false,
  startTls: false,
  requireTls: false,
  auth: [],
};

/** @param reply the 250 to EHLO; its first line is the greeting. */
export function parseExtensions({ lines }: RemoteReply): Extensions {
  const offered = new Set<string>();
  const auth: string[] = [];
  for (const line of lines.slice(1)) {
    // `AUTH=LOGIN PLAIN` is how servers wrote it before RFC 2554 was out; some still do.
    const [keyword = '', ...values] = line.trim().toUpperCase().split(/[ =]+/);
    offered.add(keyword);
    if (keyword === 'AUTH') auth.push(...values);
  }
  return {
    known: true,
    pipelining: offered.has('PIPELINING'),
    size: offered.has('SIZE'),
    eightBitMime: offered.has('8BITMIME'),
    smtpUtf8: offered.has('SMTPUTF8'),
    dsn: offered.has('DSN'),
    startTls: offered.has('STARTTLS'),
    requireTls: offered.has('REQUIRETLS'),
    auth,
  };
}
