/** A DNS that lies, fails and loops: rows D01 to D08, behaviour rules 10 and 15. One message has a recipient in each domain. */
import { afterAll, beforeAll, expect } from 'vitest';
import { type Attacked, send, startAttacked, TEXT } from '../support/attack-rig.ts';
import type { Zone, ZoneRecords } from '../support/dns-server.ts';
import { startMx } from '../support/mx.ts';
import type { MxServer } from '../support/mx-server.ts';
import { until } from '../support/program.ts';
import type { LogLine } from '../support/relay.ts';
import { attack, attacks, elsewhere } from './attack.ts';

const GOOD = '127.0.0.1';
const BUSY = Array.from({ length: 8 }, (_, i) => `127.0.45.${i + 1}`);

let relay: Attacked;
let busy: MxServer[];
beforeAll(async () => {
  relay = await startAttacked({
    yaml: [
      'limits: { messages: [], newRecipients: [] }',
      'delivery: { port: MX_PORT, allowPrivate: [127.0.0.0/8], ip: v4-first }',
      'queue: { minFree: 1MiB, retry: [1h] }',
    ].join('\n'),
  });
  const script = { greeting: '421 4.3.2 Busy' };
  busy = await Promise.all(BUSY.map((address) => startMx({ address, port: relay.mx.port, script })));
});
afterAll(async () => {
  await relay?.close();
  await Promise.all(busy?.map((host) => host.close()) ?? []);
});

/** Kind and status of a recipient's outcome, and the log line. */
async function outcomeOf(domain: string, id: string): Promise<{ outcome: string; line: LogLine }> {
  const isIt = (line: LogLine) =>
    line['queueId'] === id && line['recipient'] === `a@${domain}` && /^(relayed|delayed|failed)$/.test(line.event);
  const line = await until(`outcome of ${domain}`, () => relay.log.find(isIt), { deadline: 40_000 });
  return { outcome: `${line.event} ${line['status']}`, line };
}

type Case = readonly [name: string, zone: Zone, expected: RegExp];

/** Each variant has the domain `<letter><n>.test`; all are asked for by one message that is sent first. */
function cases(id: string, what: string, answer: string, variants: readonly Case[]): void {
  let queueId: Promise<string> | undefined;
  const domain = (i: number) => `${id.toLowerCase()}-${i}.test`;
  const submitAll = async () => {
    for (const [i, [, zone]] of variants.entries()) {
      for (const [name, records] of Object.entries(zone))
        relay.dns.set(name === '@' ? domain(i) : name.replace('@', domain(i)), records);
    }
    const client = await relay.loggedIn();
    return send(client, { text: TEXT, to: variants.map((_, i) => `a@${domain(i)}`) });
  };
  const table = variants.map(([name, , expected], i) => [name, i, expected] as const);
  attacks(id, what, answer, table, async (_, i, expected) => {
    queueId ??= submitAll();
    const { outcome, line } = await outcomeOf(domain(i), await queueId);
    expect(outcome).toMatch(expected);
    if (line.event === 'relayed')
      expect(relay.mx.messages.some(({ recipients }) => recipients.some(({ address }) => address === `a@${domain(i)}`))).toBe(
        true,
      );
    else
      expect(relay.mx.messages.some(({ recipients }) => recipients.some(({ address }) => address === `a@${domain(i)}`))).toBe(
        false,
      );
  });
}

const here: ZoneRecords = { A: [GOOD] };
const FAULTS = ['servfail', 'refused', 'timeout', 'garbage', 'wrong-id', 'cut'] as const;
cases('D01', 'a DNS that fails', 'delayed 4.4.3, never the address instead of the MX', [
  ...FAULTS.map(
    (fault): Case => [
      `${fault} for MX, though there is an address`,
      { '@': { ...here, fault: { MX: fault } } },
      /^delayed 4\.4\.3$/,
    ],
  ),
  ...FAULTS.map(
    (fault): Case => [
      `${fault} for the host`,
      { '@': { MX: ['10 mx.@'.replace('@', `h-${fault}.test`)] }, [`mx.h-${fault}.test`]: { fault } },
      /^delayed 4\.4\.3$/,
    ],
  ),
]);

attack('D01', 'an answer that is truncated over UDP and complete over TCP', 'delivered', async () => {
  relay.dns.set('large.test', { MX: ['10 mx.dest.test'], fault: 'truncated' });
  const client = await relay.loggedIn();
  const id = await send(client, { text: TEXT, to: ['a@large.test'] });
  expect((await outcomeOf('large.test', id)).outcome).toMatch(/^relayed/);
});

cases(
  'D02',
  'names that do not exist, and domains without MX',
  'failed 5.1.2 or 5.4.4 at once; the address where there is no MX',
  [
    ['NXDOMAIN', {}, /^failed 5\.1\.2$/],
    ['no MX, an address', { '@': here }, /^relayed/],
    ['no MX, no address', { '@': { TXT: ['x'] } }, /^failed 5\.(1\.2|4\.4)$/],
    ['an MX without an address', { '@': { MX: ['10 no.such.test'] } }, /^failed 5\.(1\.2|4\.4)$/],
    ['an MX that is an address', { '@': { MX: ['10 127.0.0.1'] } }, /^relayed/],
    ['an MX that is a private address', { '@': { MX: ['10 10.0.0.1'] } }, /^delayed 4\.4\.4$/],
    ['an MX with odd characters', { '@': { MX: ['10 a_b.dest.test', '20 mx.dest.test'] } }, /^relayed/],
  ],
);

cases('D03', 'a null MX', 'failed 5.1.10 at once; ignored beside another', [
  ['alone', { '@': { MX: ['0 .'] } }, /^failed 5\.1\.10$/],
  ['alone, with an address', { '@': { ...here, MX: ['0 .'] } }, /^failed 5\.1\.10$/],
  ['beside another', { '@': { MX: ['0 .', '10 mx.dest.test'] } }, /^relayed/],
]);

attack('D04', '1000 MX with 8 addresses each', 'two sessions in one attempt, equals in any order', async () => {
  const zone = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`h${i}.many.test`, { A: BUSY }]));
  for (const [name, records] of Object.entries(zone)) relay.dns.set(name, records);
  relay.dns.set('many.test', { MX: Object.keys(zone).map((name) => `10 ${name}`) });
  const client = await relay.loggedIn();
  const id = await send(client, { text: TEXT, to: ['a@many.test'] });
  expect((await outcomeOf('many.test', id)).outcome).toBe('delayed 4.3.2');
  expect(busy.reduce((sum, host) => sum + host.sessions(), 0)).toBe(2);
  relay.dns.set('h0.few.test', { A: ['127.0.45.101'] });
  for (let i = 0; i < 20; i++) relay.dns.set(`few${i}.test`, { MX: ['10 h0.few.test', '10 mx.dest.test'] });
  const second = await startMx({ address: '127.0.45.101', port: relay.mx.port });
  const to = Array.from({ length: 20 }, (_, i) => `a@few${i}.test`);
  const many = await send(client, { text: TEXT, to });
  for (const address of to) expect((await outcomeOf(address.slice(2), many)).outcome).toMatch(/^relayed/);
  expect(second.count()).toBeGreaterThan(1);
  expect(second.count()).toBeLessThan(19);
  await second.close();
});

const PRIVATE: readonly ZoneRecords[] = [
  { A: ['10.0.0.1'] },
  { A: ['192.168.1.1'] },
  { A: ['172.16.0.1'] },
  { A: ['169.254.169.254'] },
  { A: ['100.64.0.1'] },
  { A: ['0.0.0.0'] },
  { A: ['224.0.0.1'] },
  { A: ['255.255.255.255'] },
  { AAAA: ['::1'] },
  { AAAA: ['::'] },
  { AAAA: ['fe80::1'] },
  { AAAA: ['fc00::1'] },
  { AAAA: ['::ffff:10.0.0.1'] },
  { AAAA: ['64:ff9b::a00:1'] },
  { AAAA: ['2002:a00:1::'] },
];
cases(
  'D05',
  'hosts at reserved or private addresses',
  'failed 5.4.4, or delayed if the operator could allow them; no connection',
  [
    ...PRIVATE.map(
      (records): Case => [`as address: ${Object.values(records)[0]}`, { '@': records }, /^(failed 5\.4\.[46]|delayed 4\.4\.4)$/],
    ),
    ...PRIVATE.slice(0, 4).map(
      (records, i): Case => [
        `as MX: ${Object.values(records)[0]}`,
        { '@': { MX: [`10 p${i}.private.test`] }, [`p${i}.private.test`]: records },
        /^(failed 5\.4\.[46]|delayed 4\.4\.4)$/,
      ],
    ),
    ['beside a good one', { '@': { A: ['10.0.0.1', GOOD] } }, /^relayed/],
  ],
);

attack(
  'D05',
  'loopback without an allowed network, and a name whose address changes',
  'failed 5.4.4, the MX is not asked',
  async () => {
    const strict = await startAttacked({ yaml: 'delivery: { port: MX_PORT, ip: v4-only }' });
    strict.dns.set('mx.dest.test', { A: ['127.0.0.1'], ttl: 0 });
    const client = await strict.loggedIn();
    const id = await send(client, { text: TEXT });
    const line = await strict.logged('failed', (one) => one['queueId'] === id, 30_000);
    expect(line['status']).toMatch(/^5\.4\.[46]$/);
    expect(strict.mx.sessions()).toBe(0);
    await strict.close();
  },
);

cases('D06', 'hosts with our own address', 'failed 5.4.6, no connection', [
  ['by name', { '@': { MX: ['10 relay.test'] }, 'relay.test': here }, /^failed 5\.4\.6$/],
  ['by name in other letters', { '@': { MX: ['10 RELAY.test'] } }, /^failed 5\.4\.6$/],
  ['with a better host before', { '@': { MX: ['5 mx.dest.test', '10 relay.test'] } }, /^relayed/],
  ['with only worse hosts behind', { '@': { MX: ['10 relay.test', '20 mx.dest.test'] } }, /^failed 5\.4\.6$/],
]);

const chain = (length: number): Zone => ({
  '@': { CNAME: `c${length}-0.chain.test` },
  ...Object.fromEntries(
    Array.from({ length }, (_, i) => [`c${length}-${i}.chain.test`, { CNAME: `c${length}-${i + 1}.chain.test` }]),
  ),
  [`c${length}-${length}.chain.test`]: { MX: ['10 mx.dest.test'] },
});
cases('D07', 'aliases', 'followed up to a limit; a loop is delayed or fails', [
  ['a loop', { '@': { CNAME: 'loop.test' }, 'loop.test': { CNAME: 'loop.test' } }, /^delayed 4\.4\.3$|^failed 5\.4\.4$/],
  ['an MX that is an alias', { '@': { MX: ['10 alias.dest.test'] }, 'alias.dest.test': { CNAME: 'mx.dest.test' } }, /^relayed/],
  ['an MX that is a loop', { '@': { MX: ['10 loop.test'] } }, /^delayed 4\.4\.3$|^failed 5\.4\.4$/],
  ['a chain of 10', chain(10), /^relayed|^delayed 4\.4\.3$/],
  ['a chain of 30', chain(30), /^delayed 4\.4\.3$|^failed 5\.4\.4$/],
  ['into nothing', { '@': { CNAME: 'gone.nowhere.test' } }, /^failed 5\.(1\.2|4\.4)$/],
]);

cases(
  'D08',
  'times to live',
  'limited; the mail is delivered',
  [0, 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1].map(
    (ttl): Case => [
      `${ttl}`,
      { '@': { MX: [`10 mx${ttl}.ttl.test`], ttl }, [`mx${ttl}.ttl.test`]: { A: [GOOD], ttl } },
      /^relayed/,
    ],
  ),
);

elsewhere('D09', 'DNSSEC and TLSA: forged, missing, and not to be had', 'test/integration/delivery-dane.test.ts');
elsewhere('D10', 'MTA-STS policies that fail, change, or name other hosts', 'test/integration/delivery-sts.test.ts');
elsewhere('D11', 'MTA-STS fetch as a way into the private network', 'test/unit/tls-policy/mta-sts-fetch.test.ts');

attack('D01', 'a good destination after all these faults', 'delivered', () => relay.stillWorks());
