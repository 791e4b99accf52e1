/** An Internet for a booted root: another network, joined to that of the root by a cable, with all that a new relay asks and sends to. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Zone } from './dns-server.ts';
import { mustRun, startProgram, temporaryFolder, until } from './program.ts';

/** Public ones, which only these two networks have: of all that is outside, and of the root. */
export const [OUTSIDE_ADDRESS, INSIDE_ADDRESS] = ['45.79.10.1', '45.79.10.20'];

export type OutsideOptions = {
  /** Nothing leaves by port 25, as many hosters want it. */
  readonly blocked: boolean;
  /** At the provider. */
  readonly login: { readonly user: string; readonly password: string };
  /** What names of the operator have in the DNS. */
  readonly zone: Zone;
};

/** What its program is started with. */
export type OutsideOrder = Omit<OutsideOptions, 'zone'> & { readonly address: string; readonly file: string };

type Told = { published?: true; certificate?: string; to?: readonly string[]; data?: string; user?: string };

export type Outside = {
  readonly pid: number;
  /** PEM: of the destination and of the provider. */
  readonly certificate: string;
  /** Sets what names have in the DNS. */
  publish(zone: Zone): Promise<void>;
  /** All that has arrived, the oldest first. */
  messages(): readonly Told[];
  close(): Promise<void>;
};

const CHILD = new URL('./outside-child.ts', import.meta.url).pathname;
const WAIT = 'ip link set lo up; until ip -o addr | grep -qF "$1"; do sleep 0.1; done; exec "$2" "$3" "$4"';

/** @param init the first process of the root. It asks OUTSIDE_ADDRESS for DNS records, once its /etc/resolv.conf says so. */
export async function startOutside(init: string, { zone, ...options }: OutsideOptions): Promise<Outside> {
  const folder = temporaryFolder('outside');
  const file = join(folder.path, 'zone.json');
  writeFileSync(file, JSON.stringify(zone));
  const order: OutsideOrder = { ...options, address: OUTSIDE_ADDRESS!, file };
  const args = ['bash', '-ec', WAIT, 'outside', order.address, process.execPath, CHILD, JSON.stringify(order)];
  const program = startProgram({ command: 'unshare', args: ['--net', ...args] });
  await joinNetworks(init, String(program.pid));
  const told = (): readonly Told[] => {
    const lines = program.output().split('\n').slice(0, -1);
    return lines.filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Told);
  };
  const published = () => told().filter((line) => line.published).length;
  return {
    pid: program.pid,
    certificate: await until('the Internet', () => told().find((line) => line.certificate)?.certificate, {
      context: program.output,
    }),
    async publish(records) {
      const before = published();
      writeFileSync(file, JSON.stringify(records));
      program.signal('SIGUSR2');
      await until('the DNS has it', () => published() > before, { context: program.output });
    },
    messages: () => told().filter(({ to }) => to !== undefined),
    async close() {
      await program.close();
      folder.remove();
    },
  };
}

async function joinNetworks(inside: string, outside: string): Promise<void> {
  const within = (pid: string, ...words: string[]) => mustRun('nsenter', ['-t', pid, '-n', 'ip', ...words]);
  await until('a network of its own', async () => (await within(outside, '-o', 'addr')).split('\n').length < 4);
  await within(inside, 'link', 'add', 'eth0', 'type', 'veth', 'peer', 'name', 'eth0', 'netns', outside);
  const ends = [
    [inside, INSIDE_ADDRESS],
    [outside, OUTSIDE_ADDRESS],
  ] as const;
  for (const [pid, own] of ends) {
    await within(pid, 'addr', 'add', `${own}/24`, 'dev', 'eth0');
    await within(pid, 'link', 'set', 'eth0', 'up');
  }
  await within(inside, 'route', 'add', 'default', 'via', OUTSIDE_ADDRESS!);
}
