/** Knot DNS as the authoritative server of a test zone. */

import { execFileSync } from 'node:child_process';
import { Resolver } from 'node:dns/promises';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, loopbackAddress, startProgram, temporaryFolder, untilReady } from './program.ts';
import type { NameServer } from './unbound.ts';

export type KnotOptions = {
  readonly zone: string;
  /** Lines of a zone file with absolute names inside `zone` (`test.`). */
  readonly records: readonly string[];
  /** Signs the zone: RFC 4035. */
  readonly signed?: boolean | 'opt-out';
};
export type Knot = NameServer & {
  /** Its DS records, as a validating resolver takes them for an anchor; none of an unsigned zone. */
  readonly anchors: readonly string[];
};

export async function startKnot({ zone, records, signed = false }: KnotOptions): Promise<Knot> {
  const folder = temporaryFolder('knot');
  const address = loopbackAddress();
  const port = await freePort(address);
  mkdirSync(join(folder.path, 'db'));
  writeFileSync(join(folder.path, 'zone'), zoneFile(zone, records));
  writeFileSync(join(folder.path, 'knot.conf'), configuration({ folder: folder.path, address, port, zone, signed }));
  const program = startProgram({ command: 'knotd', args: ['-c', join(folder.path, 'knot.conf')] });
  await untilReady(program, 'knotd', () => serves(zone, address, port));
  const anchors = signed !== false ? dsRecords(join(folder.path, 'knot.conf'), zone) : [];
  return {
    address,
    port,
    anchors,
    async close() {
      await program.close();
      folder.remove();
    },
  };
}

/** Those with SHA-256 of the keys that Knot has just made. */
function dsRecords(configuration: string, zone: string): string[] {
  const text = execFileSync('keymgr', ['-c', configuration, zone, 'ds'], { encoding: 'utf8' });
  return text.split('\n').filter((line) => / DS \d+ \d+ 2 /.test(line));
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

type Configuration = Omit<Required<KnotOptions>, 'records'> & { folder: string; address: string; port: number };

function configuration({ folder, address, port, zone, signed }: Configuration): string {
  return `server:
  rundir: ${folder}
  listen: ${address}@${port}
log:
  - target: stderr
    any: warning
database:
  storage: ${folder}/db
policy:
  - id: opt-out
    nsec3: on
    nsec3-opt-out: on
template:
  - id: default
    storage: ${folder}
    zonefile-sync: -1
    journal-content: none
zone:
  - domain: ${zone}
    file: zone
${signed === false ? '' : `    dnssec-signing: on\n    dnssec-policy: ${signed === true ? 'default' : 'opt-out'}\n`}`;
}
