/** A TLS ClientHello by hand, for names that no library would send: RFC 8446 §4.1.2, RFC 6066 §3. */

const u8 = (n: number) => Buffer.from([n]);
function u16(n: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(n);
  return bytes;
}
const short = (...parts: Buffer[]) => {
  const body = Buffer.concat(parts);
  return Buffer.concat([u16(body.length), body]);
};
const extension = (type: number, ...parts: Buffer[]) => Buffer.concat([u16(type), short(...parts)]);

/** TLS 1.2, one ECDSA and one RSA suite. @param padding octets in a padding extension (RFC 7685) */
export function clientHello(serverName: Buffer, padding = 0): Buffer {
  const extensions = [
    extension(0, short(u8(0), short(serverName))),
    extension(10, short(u16(0x0017))), // P-256
    extension(11, u8(1), u8(0)), // uncompressed points
    extension(13, short(u16(0x0403), u16(0x0804), u16(0x0401))), // ECDSA and RSA with SHA-256
    ...(padding > 0 ? [extension(21, Buffer.alloc(padding))] : []),
  ];
  const body = Buffer.concat([
    u16(0x0303),
    Buffer.alloc(32, 7),
    u8(0), // no session
    short(u16(0xc02b), u16(0xc02f)),
    u8(1), // one compression method: none
    u8(0),
    short(...extensions),
  ]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  const message = Buffer.concat([u8(1), length.subarray(1), body]);
  return Buffer.concat([u8(0x16), u16(0x0301), u16(message.length), message]);
}
