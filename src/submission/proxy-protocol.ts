/** The PROXY protocol, versions 1 and 2: a trusted proxy tells the address of the client before the connection's own bytes. */
import { isIPv4, isIPv6, type Socket } from 'node:net';
import { plainAddress } from '../net/addresses.ts';

const SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1');
/** Version 1: one line of at most 107 octets with its CRLF. */
const MAX_LINE = 107;
/** Version 2: octets behind the fixed part, which are addresses and a few attributes. */
const MAX_ADDRESSES = 1024;

type ProxyHeader =
  /** `address` is absent where the proxy speaks for itself (health checks), or does not know the client. */
  | { readonly kind: 'header'; readonly address?: string; readonly length: number }
  | { readonly kind: 'incomplete' }
  | { readonly kind: 'invalid' };

const INVALID: ProxyHeader = { kind: 'invalid' };
const INCOMPLETE: ProxyHeader = { kind: 'incomplete' };

/**
 * Reads the header that a trusted proxy sends first.
 * @returns the client's address, the proxy's own where it speaks for itself, undefined where there is no header. Never rejects.
 */
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

/** @param bytes all bytes that the connection has brought. Pure. */
export function parseProxyHeader(bytes: Buffer): ProxyHeader {
  const signature = bytes.subarray(0, SIGNATURE.length);
  if (signature.equals(SIGNATURE)) return parseBinary(bytes);
  if (SIGNATURE.subarray(0, bytes.length).equals(signature)) return INCOMPLETE;
  return parseLine(bytes);
}

/** `PROXY TCP4 192.0.2.1 198.51.100.1 56324 465` or `PROXY UNKNOWN …`. */
function parseLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MAX_LINE).indexOf('\r\n');
  if (end === -1) {
    const expected = 'PROXY '.startsWith(bytes.toString('latin1', 0, 6));
    return expected && bytes.length < MAX_LINE ? INCOMPLETE : INVALID;
  }
  const length = end + 2;
  const [word, family, source = '', destination = '', ...ports] = bytes.toString('latin1', 0, end).split(' ');
  if (word !== 'PROXY') return INVALID;
  if (family === 'UNKNOWN') return { kind: 'header', length };
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : () => false;
  const valid =
    isAddress(source) && isAddress(destination) && ports.length === 2 && ports.every((port) => /^\d{1,5}$/.test(port));
  return valid ? { kind: 'header', address: plainAddress(source), length } : INVALID;
}

function parseBinary(bytes: Buffer): ProxyHeader {
  if (bytes.length < 16) return INCOMPLETE;
  const [versionAndCommand, family] = [bytes.readUInt8(12), bytes.readUInt8(13)];
  const length = 16 + bytes.readUInt16BE(14);
  if (versionAndCommand >> 4 !== 2 || length > 16 + MAX_ADDRESSES) return INVALID;
  if (bytes.length < length) return INCOMPLETE;
  const command = versionAndCommand & 0xf;
  if (command === 0) return { kind: 'header', length }; // LOCAL
  if (command !== 1) return INVALID;
  if (family === 0x11) return length < 28 ? INVALID : { kind: 'header', address: ipv4(bytes.subarray(16, 20)), length };
  if (family === 0x21) return length < 52 ? INVALID : { kind: 'header', address: ipv6(bytes.subarray(16, 32)), length };
  return { kind: 'header', length };
}

const ipv4 = (bytes: Buffer) => [...bytes].join('.');

function ipv6(bytes: Buffer): string {
  const groups = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16));
  const mapped = groups.slice(0, 5).every((group) => group === '0') && groups[5] === 'ffff';
  return mapped ? ipv4(bytes.subarray(12)) : new URL(`http://[${groups.join(':')}]`).hostname.slice(1, -1);
}
