/** What most scenarios with real clients need: the relay as a process, one user, a DNS, and a destination that remembers every byte. */
import { readFileSync } from 'node:fs';
import { publish, type TxtRecords, txtRecords } from './dkim-judges.ts';
import { type DnsServer, startDnsServer } from './dns-server.ts';
import { type MxServer, type MxServerOptions, type ReceivedMessage, startMxServer } from './mx-server.ts';
import { loopbackAddress, temporaryFolder, until } from './program.ts';
import { prepareRelay, type RelayOptions, type RelayProcess } from './relay-process.ts';
import { type CertificateFiles, makeCertificate } from './test-certificate.ts';

export type Scenario = {
  readonly relay: RelayProcess;
  readonly mx: MxServer;
  readonly dns: DnsServer;
  /** May send as anyone in sender.test. */
  readonly user: string;
  readonly password: string;
  /** The published keys of sender.test. */
  readonly dkim: TxtRecords;
  /** The relay's certificate, which clients take as authority: relay.sender.test and 127.0.0.1. */
  readonly certificate: CertificateFiles;
  /** The delivered message that holds this text; waits for it. */
  delivered(token: string): Promise<ReceivedMessage>;
  close(): Promise<void>;
};

export type ScenarioOptions = {
  readonly settings?: RelayOptions['settings'];
  readonly mx?: Partial<MxServerOptions>;
};

/** sender.test and dest.test have the one destination as their MX. The relay runs when this resolves. */
export async function startScenario({ settings = {}, mx: mxOptions = {} }: ScenarioOptions = {}): Promise<Scenario> {
  const folder = temporaryFolder('scenario');
  const certificate = await makeCertificate(folder.path, 'relay.sender.test');
  const tls = { key: readFileSync(certificate.key), cert: readFileSync(certificate.certificate) };
  const mx = await startMxServer({ hostname: 'mx.dest.test', address: loopbackAddress(), tls, ...mxOptions });
  const dns = await startDnsServer({
    zone: {
      'sender.test': { MX: ['10 mx.dest.test'] },
      'dest.test': { MX: ['10 mx.dest.test'] },
      'mx.dest.test': { A: [mx.address] },
    },
  });
  const relay = await prepareRelay({
    dns: dns.server,
    deliveryPort: mx.port,
    settings: { tls: { mode: 'files', files: [certificate] }, ...settings },
  });
  const close = async () => {
    await relay.close();
    await Promise.all([mx.close(), dns.close()]);
    folder.remove();
  };
  const user = 'app@sender.test';
  const password = 'green meadow 27/+='; // what quoting and base64 may trip over
  try {
    await relay.addUser(user, password, '--sender', '@sender.test');
    const dkim = txtRecords(await relay.addDomain('sender.test'));
    publish(dns, dkim);
    await relay.start();
    return { relay, mx, dns, user, password, dkim, certificate, delivered: (token) => find({ mx, relay }, token), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function find({ mx, relay }: { mx: MxServer; relay: RelayProcess }, token: string): Promise<ReceivedMessage> {
  const probe = () => mx.messages.find(({ data }) => data.includes(token));
  return until(`message with ${token} at the destination`, probe, { context: () => relay.output().slice(-4000) });
}
