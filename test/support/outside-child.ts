/**
 * The Internet of a booted root: a DNS that every name is asked of, a destination on port 25, and a provider on port 587. A program of its own,
 * because it lives in another network; `outside.ts` starts it. It writes lines of JSON: its certificate, each zone that it has read, each message.
 */
import { readFileSync } from 'node:fs';
import { createSelfSigned } from '../../src/certificates/certificates.ts';
import { startDnsServer, type Zone } from './dns-server.ts';
import { startMxServer } from './mx-server.ts';
import type { ReceivedMessage } from './mx-types.ts';
import type { OutsideOrder } from './outside.ts';

const { address, blocked, login, file } = JSON.parse(process.argv[2]!) as OutsideOrder;
const [destination, provider] = ['mx.there.example', 'smtp.provider.example'];
const { certificate: cert, key } = await createSelfSigned('ecdsa', [destination, provider], Date.now());
const tell = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const mail = { MX: [`10 ${destination}`] };
const [here, large] = [{ A: [address] }, { 'gmail.com': mail, 'outlook.com': mail, 'yahoo.com': mail }];
const dns = await startDnsServer({
  ...{ address, port: 53 },
  zone: { [destination]: here, [provider]: here, 'there.example': mail, ...large },
});
const common = {
  ...{ address, tls: { key, cert } },
  onMessage: ({ recipients, data, user }: ReceivedMessage) =>
    tell({ to: recipients.map((one) => one.address), data: data.toString('latin1'), user }),
};
if (!blocked) await startMxServer({ ...common, hostname: destination, port: 25 });
await startMxServer({ ...common, hostname: provider, port: 587, auth: login });

const publish = () => {
  for (const [name, records] of Object.entries(JSON.parse(readFileSync(file, 'utf8')) as Zone)) dns.set(name, records);
  tell({ published: true });
};
process.on('SIGUSR2', publish);
publish();
tell({ certificate: cert });
