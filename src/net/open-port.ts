/** Opens a port, or says in one sentence why that is not possible. Used for submission, challenges and the admin page. */
import { type AddressInfo, createServer, type Server } from 'node:net';

export type PortAddress = {
  /** The name of the setting below `listen`. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** The purpose of the port, if it is not obvious. */
  readonly purpose?: string;
};

/** The address of a listener. `::` means all addresses, IPv4 included. Port 0 takes a free port. */
export type ListenAddress = Pick<PortAddress, 'address' | 'port'>;

/** An open port, with the number that the system assigned. */
export type OpenPort = { readonly name: string; readonly address: string; readonly port: number };

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program uses it',
  EACCES: 'this user may not open it, EACCES',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** Errors for `::` that mean that there is no IPv6. */
const NO_IPV6: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** The message names listener, address, port and reason. `code` is the error code of the system. */
export class ClosedPort extends Error {
  override readonly name = 'ClosedPort';
  readonly code: string;
  constructor(at: PortAddress, code: string, options?: ErrorOptions) {
    super(sentenceFor(at, code), options);
    this.code = code;
  }
}

/** @param backlog most connections that wait to be accepted. @throws ClosedPort */
export async function openPort(server: Server, at: PortAddress, backlog = 511): Promise<OpenPort> {
  try {
    await listen(server, at.address, at.port, backlog);
  } catch (error) {
    const { code = (error as Error).message } = error as NodeJS.ErrnoException;
    if (isWithoutIpv6(at.address, code)) return openPort(server, { ...at, address: '0.0.0.0' }, backlog);
    throw new ClosedPort(at, code, { cause: error });
  }
  const { address, port } = server.address() as AddressInfo;
  return { name: at.name, address, port };
}

/** Called before anything is opened, because a relay that cannot serve must not begin to deliver. @returns one error for each port that cannot be opened */
export async function portProblems(list: readonly PortAddress[]): Promise<readonly ClosedPort[]> {
  const problems: ClosedPort[] = [];
  for (const at of list) {
    const code = at.port === 0 ? undefined : await tryPort(at.address, at.port);
    if (code !== undefined) problems.push(new ClosedPort(at, code));
  }
  return problems;
}

function sentenceFor({ name, address, port, purpose }: PortAddress, code: string): string {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
  return `listen.${name}: ${where} cannot be opened (${REASONS[code] ?? code})${purpose === undefined ? '' : `; ${purpose}`}`;
}

function isWithoutIpv6(address: string, code: string): boolean {
  return address === '::' && NO_IPV6.includes(code);
}

/** @returns the code of the error, or undefined if the port can be opened. */
async function tryPort(host: string, port: number): Promise<string | undefined> {
  const server = createServer();
  try {
    await listen(server, host, port);
  } catch (error) {
    const { code = (error as Error).message } = error as NodeJS.ErrnoException;
    return isWithoutIpv6(host, code) ? tryPort('0.0.0.0', port) : code;
  }
  await new Promise((closed) => server.close(closed));
  return undefined;
}

function listen(server: Server, host: string, port: number, backlog?: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, ...(backlog !== undefined && { backlog }) }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
