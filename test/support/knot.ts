/** Knot DNS as the authoritative server of a test zone. */

import { Resolver } from 'node:dns/promises';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, loopbackAddress, startProgram, temporaryFolder, untilReady } from './program.ts';
import type { NameServer } from './unbound.ts';

/** @param records lines of a zone file with absolute names inside `zone` (`test.`) */
export async function startKnot({ zone, records }: { zone: string; records: readonly string[] }): Promise<NameServer> {
  const folder = temporaryFolder('knot');
  const address = loopbackAddress();
  const port = await freePort(address);
  writeFileSync(join(folder.path, 'zone'), zoneFile(zone, records));
  writeFileSync(join(folder.path, 'knot.conf'), configuration({ folder: folder.path, address, port, zone }));
  const program = startProgram({ command: 'knotd', args: ['-c', join(folder.path, 'knot.conf')] });
  await untilReady(program, 'knotd', () => serves(zone, address, port));
  return {
    address,
    port,
    async close() {
      await program.close();
      folder.remove();
    },
  };
}

async function serves(zone: string, address: string, port: number): Promise<boolean> {
  const resolver = new Resolver({ timeout: 500, tries: 1 });
  resolver.setServers([`${address}:${port}`]);
  return resolver.resolveSoa(zone.replace(/\.$/, '')).then(
    () => true,
    () => false,
  );
}

function zoneFile(zone: string, records: readonly string[]): string {
  const soa = `${zone} 60 IN SOA ns.${zone} hostmaster.${zone} 1 3600 600 86400 30`;
  return `${[soa, `${zone} 60 IN NS ns.${zone}`, `ns.${zone} 60 IN A 127.0.0.1`, ...records].join('\n')}\n`;
}

function configuration({ folder, address, port, zone }: { folder: string; address: string; port: number; zone: string }): string {
  return `server:
  rundir: ${folder}
  listen: ${address}@${port}
log:
  - target: stderr
    any: warning
database:
  storage: ${folder}/db
template:
  - id: default
    storage: ${folder}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: ${zone}
    file: zone
`;
}
