/**
 * TLS on a connection that a server of ours has accepted. No other file does it, so that two rules hold everywhere:
 *
 * Node frees the TLS object of a connection before it reports that the connection has closed, and a question to a freed one
 * (`getProtocol`, `getCipher`) ends the whole process. What was agreed on is read once, while the handshake ends.
 *
 * A socket whose other side has closed gets no TLS, and below TLS nothing is destroyed: only the TLS socket is.
 */
import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';

/** What a handshake agreed on, in OpenSSL's words: `TLSv1.3`, `TLS_AES_128_GCM_SHA256`. */
export type AgreedTls = { readonly protocol: string; readonly cipher: string };

type Handshake = {
  /** Called once, in the moment in which the handshake ends: what is written then leaves with its last piece. */
  readonly secured: (agreed: AgreedTls, socket: TLSSocket) => void;
  /** Called once where the handshake does not end. The socket is destroyed. */
  readonly failed?: (reason: string) => void;
};

/**
 * True where the other side has closed the connection or its half of it, also while bytes that it sent before are unread.
 * Node tells of the end only when those were read, hence the look at the state behind it.
 */
export function hasLeft(socket: Socket): boolean {
  const { _readableState: state } = socket as Socket & { readonly _readableState?: { readonly ended?: boolean } };
  return socket.destroyed || socket.readableEnded || state?.ended === true || !socket.writable;
}

/**
 * Begins a handshake. An error of TLS closes the connection at once, during the handshake and afterwards.
 * @returns the socket that takes the place of the given one, or undefined where the other side has left.
 */
export function startServerTls(socket: Socket, options: TLSSocketOptions, { secured, failed }: Handshake): TLSSocket | undefined {
  if (hasLeft(socket)) {
    socket.destroy();
    failed?.('the client left before the handshake');
    return undefined;
  }
  const secure = new TLSSocket(socket, { ...options, isServer: true });
  let pending = true;
  const fail = (reason: string) => {
    if (pending) failed?.(reason);
    pending = false;
    secure.destroy();
  };
  secure.on('error', () => {}); // '_tlsError' tells it
  secure.on('_tlsError', (error: Error) => fail(error.message));
  secure.once('end', () => pending && fail('the client left during the handshake'));
  secure.once('close', () => fail('closed during the handshake'));
  secure.once('secure', () => {
    pending = false;
    secured({ protocol: secure.getProtocol() ?? 'TLS', cipher: secure.getCipher()?.name ?? 'unknown' }, secure);
  });
  return secure;
}
