/**
 * TLS on connections that our servers accept. No other file starts it, so that two rules hold everywhere:
 *
 * Node frees the TLS object of a connection before it reports that the connection has closed. A call to a freed object
 * (`getProtocol`, `getCipher`) ends the whole process. So protocol and cipher are read once, when the handshake ends.
 *
 * A socket gets no TLS if the client has closed it. Once TLS has started, only the TLS socket is destroyed, never the one below it.
 */
import type { Socket } from 'node:net';
import { TLSSocket, type TLSSocketOptions } from 'node:tls';

/** The result of a handshake in OpenSSL's names: `TLSv1.3`, `TLS_AES_128_GCM_SHA256`. */
export type AgreedTls = { readonly protocol: string; readonly cipher: string };

type Handshake = {
  /** Called once when the handshake ends. Data written in this call leave together with the last part of the handshake. */
  readonly secured: (agreed: AgreedTls, socket: TLSSocket) => void;
  /** Called once if the handshake fails. The socket is destroyed. */
  readonly failed?: (reason: string) => void;
};

/**
 * True if the client has closed the connection or its half of it, even if bytes that it sent before are not read yet.
 * Node reports the end only after those were read, so this looks at the internal state.
 */
export function hasLeft(socket: Socket): boolean {
  const { _readableState: state } = socket as Socket & { readonly _readableState?: { readonly ended?: boolean } };
  return socket.destroyed || socket.readableEnded || state?.ended === true || !socket.writable;
}

/**
 * Begins a handshake. A TLS error closes the connection at once, during the handshake and afterwards.
 * @returns the socket that replaces the given one, or undefined if the client has left.
 */
export function startServerTls(socket: Socket, options: TLSSocketOptions, { secured, failed }: Handshake): TLSSocket | undefined {
  if (hasLeft(socket)) {
    socket.destroy();
    failed?.('the client left before the handshake');
    return undefined;
  }
  const secure = new TLSSocket(socket, { ...options, isServer: true });
  const before = socket.bytesRead;
  let pending = true;
  const fail = (reason: string) => {
    if (pending) failed?.(reason);
    pending = false;
    secure.destroy();
  };
  secure.on('error', () => {}); // '_tlsError' reports it
  secure.on('_tlsError', (error: Error) => fail(error.message));
  const silent = () => socket.bytesRead === before;
  secure.once(
    'end',
    () => pending && fail(silent() ? 'the client left and said nothing' : 'the client left during the handshake'),
  );
  secure.once('close', () => fail(silent() ? 'the client said nothing' : 'closed during the handshake'));
  secure.once('secure', () => {
    pending = false;
    secured({ protocol: secure.getProtocol() ?? 'TLS', cipher: secure.getCipher()?.name ?? 'unknown' }, secure);
  });
  return secure;
}
