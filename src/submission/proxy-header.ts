/** Reads the PROXY header that a trusted proxy sends first. */
import type { Socket } from 'node:net';
import { parseProxyHeader } from './proxy-protocol.ts';

/** @returns the client's address, the proxy's where it speaks for itself, undefined where there is no header. Never rejects. */
export function readProxyHeader(socket: Socket, peer: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    let bytes = Buffer.alloc(0);
    const finish = (address: string | undefined) => {
      socket.off('readable', read);
      socket.off('close', gone);
      resolve(address);
    };
    const gone = () => finish(undefined);
    const read = () => {
      for (let chunk: Buffer | null; (chunk = socket.read()) !== null; ) {
        bytes = Buffer.concat([bytes, chunk]);
        const header = parseProxyHeader(bytes);
        if (header.kind === 'incomplete') continue;
        if (header.kind === 'invalid') return finish(undefined);
        if (bytes.length > header.length) socket.unshift(bytes.subarray(header.length));
        return finish(header.address ?? peer);
      }
    };
    socket.on('readable', read);
    socket.once('close', gone);
  });
}
