/** What is around the relay of a power cut: the names, the destination, and who wants a report about TLS. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeAuthority, makeHost, served } from '../support/chains.ts';
import type { Zone } from '../support/dns-server.ts';
import type { MxServerOptions } from '../support/mx-server.ts';
import { startPolicyHost } from '../support/policy-host.ts';
import { loopbackAddress, temporaryFolder } from '../support/program.ts';
import type { RelayOptions } from '../support/relay-process.ts';

export type PowerWorld = {
  /** @param mx the address of the destination */
  zone(mx: string): Zone;
  /** Recipients; one that begins with `later` is never accepted. */
  readonly recipients: readonly string[];
  readonly mx: Partial<MxServerOptions>;
  readonly settings: NonNullable<RelayOptions['settings']>;
  /** A domain that is owed a report. */
  readonly reportTo?: string;
  close(): Promise<void>;
};

const plainZone = (mx: string): Zone => ({ 'dest.test': { MX: ['10 mx.dest.test'] }, 'mx.dest.test': { A: [mx] } });

export const PLAIN: PowerWorld = {
  zone: plainZone,
  recipients: ['later@dest.test', 'anna@dest.test'],
  mx: {},
  settings: {},
  close: async () => {},
};

/** The domain of the mail has an enforced policy, and another domain is owed a report. Its policy host needs port 443. */
export async function startTlsPowerWorld(): Promise<PowerWorld> {
  const folder = temporaryFolder('authority');
  const root = await makeAuthority('root');
  const ca = join(folder.path, 'ca.pem');
  writeFileSync(ca, root.pem);
  const certificate = served(await makeHost({ names: ['mta-sts.policy.test'], issuer: root }));
  const host = await startPolicyHost(certificate, { address: loopbackAddress(), port: 443 });
  host.answer = 'version: STSv1\nmode: enforce\nmx: mx.dest.test\nmax_age: 86400\n';
  return {
    zone: (mx) => ({
      ...plainZone(mx),
      'policy.test': { MX: ['10 mx.dest.test'] },
      '_mta-sts.policy.test': { TXT: ['v=STSv1; id=1;'] },
      'mta-sts.policy.test': { A: [host.address] },
      'owed.test': { MX: ['10 mx.dest.test'] },
      '_smtp._tls.owed.test': { TXT: ['v=TLSRPTv1; rua=mailto:tls@dest.test'] },
    }),
    recipients: ['later@policy.test', 'anna@policy.test'],
    mx: { tls: served(await makeHost({ names: ['mx.dest.test'], issuer: root })) },
    settings: { delivery: { ca } },
    reportTo: 'owed.test',
    async close() {
      await host.close();
      folder.remove();
    },
  };
}
