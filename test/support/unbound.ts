/** Unbound as the resolver of a test: answers from local data, or asks Knot; never the Internet. */

import { Resolver } from 'node:dns/promises';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, loopbackAddress, startProgram, temporaryFolder, untilReady } from './program.ts';

export type NameServer = { readonly address: string; readonly port: number; close(): Promise<void> };

export type UnboundOptions = {
  /** Lines of a zone file with absolute names: `dest.test. 60 IN MX 10 mx.dest.test.` */
  readonly records?: readonly string[];
  /** Zones that another server on loopback is asked for. */
  readonly stubs?: readonly { readonly zone: string; readonly server: { readonly address: string; readonly port: number } }[];
  /** DS records of zones that are validated: `test. DS 1234 13 2 …`. Without, nothing is. */
  readonly anchors?: readonly string[];
  /** Default: one that nobody else has. */
  readonly address?: string;
  /** Port 53 is needed by programs that only know resolv.conf; default: any free one. */
  readonly port?: number;
};

/** A name that every test's resolver answers, to see that it is up. */
const PROBE = 'ready.probe.test';

export async function startUnbound({
  records = [],
  stubs = [],
  anchors = [],
  address = loopbackAddress(),
  port,
}: UnboundOptions): Promise<NameServer> {
  const folder = temporaryFolder('unbound');
  const at = port ?? (await freePort(address));
  writeFileSync(
    join(folder.path, 'unbound.conf'),
    configuration({ folder: folder.path, address, port: at, records, stubs, anchors }),
  );
  const program = startProgram({ command: 'unbound', args: ['-d', '-c', join(folder.path, 'unbound.conf')] });
  await untilReady(program, 'unbound', () => resolves(address, at));
  return {
    address,
    port: at,
    async close() {
      await program.close();
      folder.remove();
    },
  };
}

/** True when the server answers for the probe's name. */
async function resolves(address: string, port: number): Promise<boolean> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`${address}:${port}`]);
  return resolver.resolve4(PROBE).then(
    () => true,
    () => false,
  );
}

function configuration(options: Required<UnboundOptions> & { folder: string }): string {
  const { folder, address, port, records, stubs, anchors } = options;
  return `server:
  interface: ${address}
  port: ${port}
  do-ip6: no
  do-daemonize: no
  chroot: ""
  username: ""
  directory: "${folder}"
  pidfile: ""
  use-syslog: no
  logfile: ""
  num-threads: 1
  module-config: "${anchors.length > 0 ? 'validator iterator' : 'iterator'}"
${anchors.map((anchor) => `  trust-anchor: "${anchor}"\n`).join('')}  access-control: 127.0.0.0/8 allow
  do-not-query-localhost: no
  local-zone: "." static
  local-zone: "test." transparent
  local-data: '${PROBE}. 60 IN A 127.0.0.1'
${records.map((record) => `  local-data: '${record}'\n`).join('')}
remote-control:
  control-enable: no
${stubs.map(({ zone, server }) => `stub-zone:\n  name: "${zone}"\n  stub-addr: ${server.address}@${server.port}\n`).join('')}`;
}
