/** A relay, a DNS and MX hosts on addresses of their own for one test; all of it ends with the test. */
import { onTestFinished } from 'vitest';
import { startTestDelivery, type TestDelivery } from './delivery.ts';
import { startDns } from './dns.ts';
import type { DnsServer, Zone } from './dns-server.ts';
import { startMx } from './mx.ts';
import type { MxScript, MxServer, MxServerOptions } from './mx-server.ts';

export type RigOptions = {
  /** The first is the best MX of `good.test`; each has its own address and preference. Default: one that takes everything. */
  readonly hosts?: readonly Partial<MxServerOptions>[];
  /** Beside `good.test` and its hosts `mx0.good.test`, `mx1.good.test`. */
  readonly zone?: Zone;
  readonly delivery?: Parameters<typeof startTestDelivery>[1];
  readonly paces?: Parameters<typeof startTestDelivery>[2];
};

export type Rig = {
  readonly relay: TestDelivery;
  readonly dns: DnsServer;
  readonly mx: MxServer;
  readonly hosts: readonly MxServer[];
};

export async function startRig({ hosts: wanted = [{}], zone = {}, delivery = {}, paces }: RigOptions = {}): Promise<Rig> {
  const hosts: MxServer[] = [];
  for (const [i, options] of wanted.entries()) {
    const port = hosts[0]?.port ?? 0;
    hosts.push(await startMx({ address: `127.0.3.${i + 1}`, port, hostname: `mx${i}.good.test`, ...options }));
  }
  const own: Record<string, Zone[string]> = { 'good.test': { MX: hosts.map((_, i) => `${10 + i} mx${i}.good.test`) } };
  for (const [i, { address }] of hosts.entries()) own[`mx${i}.good.test`] = { A: [address] };
  const dns = await startDns({ ...own, ...zone });
  const relay = await startTestDelivery(dns, { port: hosts[0]!.port, ...delivery }, paces);
  onTestFinished(async () => {
    await relay.close();
    await Promise.all([dns.close(), ...hosts.map((host) => host.close())]);
  });
  return { relay, dns, mx: hosts[0]!, hosts };
}

/** A rig with one host that follows a script. */
export function startScripted(script: MxScript, options: RigOptions & { host?: Partial<MxServerOptions> } = {}): Promise<Rig> {
  return startRig({ ...options, hosts: [{ ...options.host, script }, ...(options.hosts ?? [])] });
}

/** The commands that the first host received, without the session numbers. */
export function verbs({ mx }: Rig): readonly string[] {
  return mx.commands.map((line) => line.replace(/^\d+ /, '').split(/[ :]/)[0]!);
}
