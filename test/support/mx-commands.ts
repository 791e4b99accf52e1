/** What the small MX says to EHLO, and how it reads the path of MAIL and RCPT: RFC 5321 §4.1.1. */
import type { MxServerOptions } from './mx-types.ts';

const EXTENSIONS = ['PIPELINING', 'SIZE 104857600', '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN'];

/** @param encrypted STARTTLS is offered before, a login after. */
export function ehloReply({ hostname, extensions = EXTENSIONS, tls, auth }: MxServerOptions, encrypted: boolean): string {
  const offered = [...extensions];
  if (tls !== undefined && !encrypted) offered.push('STARTTLS');
  if (auth !== undefined && (encrypted || auth.clear === true)) {
    offered.push(`AUTH ${(auth.mechanisms ?? ['PLAIN', 'LOGIN']).join(' ')}`);
  }
  return [hostname, ...offered].map((text, i) => `250${i === offered.length ? ' ' : '-'}${text}`).join('\r\n');
}

/** The address without its angle brackets, and the parameters that follow; undefined where the line is no such command. */
export function parsePath(line: string, verb: RegExp): { address: string; parameters: string[] } | undefined {
  const match = /^<((?:"(?:[^"\\]|\\.)*"|[^>])*)>(?: (.*))?$/.exec(line.replace(verb, ''));
  return match === null ? undefined : { address: match[1]!, parameters: match[2]?.split(' ') ?? [] };
}
