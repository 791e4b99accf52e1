/** Connects once to an SMTP server and reads greeting, EHLO, STARTTLS, and the certificate for a client without SNI. RFC 5321 §4.2, RFC 3207. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { trustWith } from '../system/trust.ts';

export type SmtpTarget = {
  readonly address: string;
  readonly port: number;
  /** The name that we send in EHLO. */
  readonly hostname: string;
  /** `implicit`: TLS from the first byte; `starttls`: TLS after EHLO; `none`: only greeting and EHLO. */
  readonly tls: 'none' | 'starttls' | 'implicit';
  readonly localAddress?: string;
  /** PEM of one more trusted authority. */
  readonly ca?: string;
  /** Accepts only RSA certificates, as old clients do. */
  readonly rsaOnly?: boolean;
  /** Most milliseconds for the whole probe. */
  readonly timeout: number;
  /** Ends the probe early. */
  readonly signal?: AbortSignal;
};

/** Never rejects. */
export type SmtpProbe = (target: SmtpTarget) => Promise<SmtpAnswer>;

export type SmtpAnswer = {
  /** Lines of the greeting; absent if the server did not answer. */
  readonly greeting?: readonly string[];
  /** Lines of the EHLO reply. With TLS it is the reply after the handshake. */
  readonly ehlo?: readonly string[];
  readonly certificate?: SeenCertificate;
  readonly heardAt: number;
  /** The reason of an early end: `ECONNREFUSED`, `ETIMEDOUT`, … */
  readonly failure?: string;
};

type SeenCertificate = {
  /** The leaf, DER. */
  readonly leaf: Buffer;
  /** Number of certificates that the server sent, the leaf included. */
  readonly length: number;
  /** OpenSSL's error code; absent if the chain is trusted. */
  readonly untrusted?: string;
};

/** Never rejects. */
export async function probeSmtp(target: SmtpTarget): Promise<SmtpAnswer> {
  const heard: { -readonly [K in keyof SmtpAnswer]: SmtpAnswer[K] } = { heardAt: Date.now() };
  const limit = AbortSignal.timeout(target.timeout);
  const signal = target.signal === undefined ? limit : AbortSignal.any([limit, target.signal]);
  let socket: Socket | undefined;
  try {
    socket = await connected(target, signal);
    if (target.tls === 'implicit') {
      socket = await secured(socket, target, signal);
      heard.certificate = certificateOf(socket as TLSSocket);
    }
    heard.greeting = await reply(socket, signal);
    heard.heardAt = Date.now();
    if (!heard.greeting[0]!.startsWith('220')) return heard;
    heard.ehlo = await command(socket, `EHLO ${target.hostname}`, signal);
    if (target.tls === 'starttls') {
      const answer = await command(socket, 'STARTTLS', signal);
      if (!answer[0]!.startsWith('220')) throw Object.assign(new Error(answer[0]), { code: 'ENOSTARTTLS' });
      socket = await secured(socket, target, signal);
      heard.certificate = certificateOf(socket as TLSSocket);
      heard.ehlo = await command(socket, `EHLO ${target.hostname}`, signal);
    }
    socket.write('QUIT\r\n');
  } catch (error) {
    heard.failure = failureOf(error, signal);
  } finally {
    socket?.destroy();
  }
  return heard;
}

function failureOf(error: unknown, signal: AbortSignal): string {
  if (signal.aborted) return 'ETIMEDOUT';
  return String((error as NodeJS.ErrnoException).code ?? (error as Error).message);
}

function connected({ address, port, localAddress }: SmtpTarget, signal: AbortSignal): Promise<Socket> {
  const socket = connect({ host: address, port, ...(localAddress === undefined ? {} : { localAddress }) });
  return settled(socket, 'connect', signal);
}

const RSA_ONLY = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-RSA-AES256-GCM-SHA384:ECDHE-RSA-AES128-GCM-SHA256' } as const;

/** Sends no server name, as Exchange and many devices do. The caller checks the names of the certificate. */
function secured(socket: Socket, { ca, rsaOnly }: SmtpTarget, signal: AbortSignal): Promise<TLSSocket> {
  const tls = connectTls({
    socket,
    rejectUnauthorized: false,
    checkServerIdentity: () => undefined,
    secureContext: trustWith(ca, rsaOnly ? RSA_ONLY : {}),
  });
  return settled(tls, 'secureConnect', signal);
}

function settled<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const end = (error?: Error) => {
      signal.removeEventListener('abort', aborted);
      socket.off('error', failed).off('close', closed);
      socket.on('error', () => {}); // a later error ends the read that waits
      if (error === undefined) resolve(socket);
      else reject(error);
    };
    const aborted = () => end(new Error('timeout'));
    const failed = (error: Error) => end(error);
    const closed = () => end(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    signal.addEventListener('abort', aborted);
    socket
      .on('error', failed)
      .on('close', closed)
      .once(event, () => end());
  });
}

async function command(socket: Socket, line: string, signal: AbortSignal): Promise<readonly string[]> {
  socket.write(`${line}\r\n`);
  return reply(socket, signal);
}

const MOST = 16 * 1024;

/** Reads lines up to the one without a hyphen after its code: RFC 5321 §4.2.1. */
function reply(socket: Socket, signal: AbortSignal): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    const end = (result: readonly string[] | Error) => {
      signal.removeEventListener('abort', aborted);
      socket.off('data', more).off('close', closed).pause();
      if (result instanceof Error) reject(result);
      else resolve(result);
    };
    const more = (chunk: Buffer) => {
      text += chunk.toString('latin1');
      const lines = text.split('\r\n').slice(0, -1);
      if (lines.some((line) => /^\d{3}(?: |$)/.test(line))) end(lines);
      else if (text.length > MOST || lines.some((line) => !/^\d{3}-/.test(line)))
        end(Object.assign(new Error('not an SMTP server'), { code: 'ENOTSMTP' }));
    };
    const aborted = () => end(new Error('timeout'));
    const closed = () => end(Object.assign(new Error('closed'), { code: 'ECONNRESET' }));
    signal.addEventListener('abort', aborted);
    socket.on('close', closed).on('data', more).resume();
  });
}

function certificateOf(socket: TLSSocket): SeenCertificate {
  let length = 0;
  const seen = new Set<string>();
  let one = socket.getPeerCertificate(true);
  const leaf = one.raw;
  while (one?.fingerprint256 !== undefined && !seen.has(one.fingerprint256)) {
    seen.add(one.fingerprint256);
    length++;
    one = one.issuerCertificate;
  }
  const untrusted = socket.authorizationError as unknown as string | undefined;
  return { leaf, length, ...(socket.authorized || !untrusted ? {} : { untrusted: String(untrusted) }) };
}
