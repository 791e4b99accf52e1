/** Whether ports can be opened, asked before anything is: a relay that cannot serve must not begin to deliver. */
import { createServer } from 'node:net';

export type PortAddress = {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  /** What it is for, where that is not plain. */
  readonly purpose?: string;
};

const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program has it',
  EACCES: 'this user may not, EACCES',
  EADDRNOTAVAIL: 'this machine has no such address',
};

/** `::` means every address, and these say that there is no IPv6. */
export const NO_IPV6: readonly string[] = ['EAFNOSUPPORT', 'EADDRNOTAVAIL'];

/** One sentence for each that cannot be opened. `name` is the key below `listen`. */
export async function portProblems(list: readonly PortAddress[]): Promise<readonly string[]> {
  const problems: string[] = [];
  for (const { name, address, port, purpose } of list) {
    const code = port === 0 ? undefined : await tryPort(address, port);
    if (code === undefined) continue;
    const where = `${address.includes(':') ? `[${address}]` : address}:${port}`;
    problems.push(
      `listen.${name}: ${where} cannot be opened (${REASONS[code] ?? code})${purpose === undefined ? '' : `; ${purpose}`}`,
    );
  }
  return problems;
}

async function tryPort(host: string, port: number): Promise<string | undefined> {
  const code = await openAndClose(host, port);
  return host === '::' && code !== undefined && NO_IPV6.includes(code) ? openAndClose('0.0.0.0', port) : code;
}

/** @returns the error's code; undefined: it can be opened. */
function openAndClose(host: string, port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', ({ code, message }: NodeJS.ErrnoException) => resolve(code ?? message));
    server.listen({ host, port }, () => server.close(() => resolve(undefined)));
  });
}
