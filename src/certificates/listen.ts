/** Opens the listeners that answer challenges, with one clear sentence where one cannot be opened. */
import type { AddressInfo, Server } from 'node:net';
import { CertificateError } from './pair.ts';

export type ListenAddress = { readonly address: string; readonly port: number };
export type Listening = { readonly name: 'http' | 'alpn'; readonly address: string; readonly port: number };

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it',
  EACCES: 'this user may not open ports below 1024',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** @throws CertificateError that names listener, address and port. */
export async function listen(server: Server, name: 'http' | 'alpn', { address, port }: ListenAddress): Promise<Listening> {
  try {
    await bind(server, address, port);
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    // every address, IPv4 alone where the machine has no IPv6
    if (address === '::' && code === 'EAFNOSUPPORT') return listen(server, name, { address: '0.0.0.0', port });
    const where = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
    const reason = REASONS[code] ?? code;
    throw new CertificateError(
      `listen.${name}: ${where} cannot be opened (${reason}); tls.mode acme needs it for the challenge ${name === 'http' ? 'http-01' : 'tls-alpn-01'}`,
      { cause: error },
    );
  }
  const bound = server.address() as AddressInfo;
  return { name, address: bound.address, port: bound.port };
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
