/** The words of one attempt, for a message that asks for them: commands, replies and TLS, with times; never text, never a secret. */
import { performance } from 'node:perf_hooks';
import type { TLSSocket } from 'node:tls';
import type { RemoteReply } from './reply-reader.ts';

export type Transcript = {
  /** Commands as they leave, one or several. @param secret what stands behind the mechanism's name is a password or a part of one. */
  sent(commands: string, secret: boolean): void;
  received(reply: RemoteReply): void;
  /** What happened beside commands and replies. */
  note(text: string): void;
  secured(socket: TLSSocket): void;
  /** One line each: seconds since the start, `>` sent, `<` received or `*` noted, the words. */
  text(): string;
};

/** Enough for any honest conversation; the replies are the other side's, and may be anything. */
const MAX_SIZE = 16 * 1024;
const MAX_LINE = 1000;
const CUT = '* … the rest is not kept';

/** @param now milliseconds that only go forward. */
export function createTranscript(now: () => number = () => performance.now()): Transcript {
  const began = now();
  const lines: string[] = [];
  let left = MAX_SIZE;

  function add(sign: '>' | '<' | '*', words: string): void {
    if (left <= 0) return;
    const shown = words.length > MAX_LINE ? `${words.slice(0, MAX_LINE)}…` : words;
    const line = `${((now() - began) / 1000).toFixed(3)} ${sign} ${shown.replace(/[\r\n]+/g, ' ')}`;
    left -= Buffer.byteLength(line) + 1;
    lines.push(left > 0 ? line : CUT);
  }

  return {
    sent(commands, secret) {
      for (const command of commands.split('\r\n')) if (command !== '') add('>', secret ? withoutSecret(command) : command);
    },
    received({ code, lines: texts }) {
      for (const [i, text] of texts.entries()) add('<', `${code}${i < texts.length - 1 ? '-' : ' '}${text}`);
    },
    note: (text) => add('*', text),
    secured: (socket) => add('*', describeTls(socket)),
    text: () => lines.join('\n'),
  };
}

/** RFC 4954 §4: the mechanism may be seen, responses may not. */
function withoutSecret(command: string): string {
  const [verb, mechanism, response] = command.split(' ');
  if (verb !== 'AUTH') return '***';
  return response === undefined ? command : `${verb} ${mechanism} ***`;
}

/** What an operator asks first about TLS: which, whose, and would it have been trusted. */
function describeTls(socket: TLSSocket): string {
  const { subject, issuer, valid_to: until } = socket.getPeerCertificate();
  const name = (one: typeof subject | undefined) => [one?.CN ?? one?.O ?? '?'].flat().join(' ');
  const trust = socket.authorized ? 'trusted' : `not trusted: ${socket.authorizationError}`;
  const certificate =
    subject === undefined ? 'no certificate' : `certificate of ${name(subject)} by ${name(issuer)} until ${until}, ${trust}`;
  return `${socket.getProtocol()} with ${socket.getCipher().name}; ${certificate}`;
}
