/** Hosts that hang, send slowly, lie, flood and split replies: rows R01 to R13, behaviour rules 10, 13, 14 and 22. The scripts are in hostile-mx.ts. */
import { connect, createServer, type Socket } from 'node:net';
import { afterAll, beforeAll, expect } from 'vitest';
import { type Attacked, codeOf, send, startAttacked, submit, TEXT, USER, verdict } from '../support/attack-rig.ts';
import { HOSTILE, type Hostile } from '../support/hostile-mx.ts';
import { startMx } from '../support/mx.ts';
import { type MxServer, startMxServer } from '../support/mx-server.ts';
import { makePair } from '../support/pair.ts';
import { hasCommand, requirePeer } from '../support/peers.ts';
import { type Program, startProgram, until } from '../support/program.ts';
import type { LogLine } from '../support/relay.ts';
import { sized } from '../support/size.ts';
import { attack, attacks } from './attack.ts';

/** In three relays, so that the deadline which decides is short, and no other one can end a session, however busy the machine is. */
const TIMEOUTS = {
  patient: '{ connect: 1h, greeting: 1h, command: 1h, data: 1h, block: 1h, dot: 1h }',
  command: '{ connect: 2s, greeting: 2s, command: 2s, data: 2s, block: 2s, dot: 2s }',
  text: '{ connect: 1h, greeting: 1h, command: 1h, data: 1h, block: 2s, dot: 2s }',
};
const addressOf = (i: number) => `127.0.${46 + Math.floor(i / 250)}.${1 + (i % 250)}`;
const domainOf = (one: Hostile) => `h${HOSTILE.indexOf(one)}.hostile.test`;
/** A busy machine may take long; whatever has no outcome after this time is held for ever. */
const LONG = 200_000;

type World = { readonly relay: Attacked; readonly hosts: ReadonlyMap<Hostile, MxServer>; readonly queueId: string };

/** A relay that has accepted one message for all of `list`. */
async function startWorld(timeouts: keyof typeof TIMEOUTS, list: readonly Hostile[]): Promise<World> {
  const relay = await startAttacked({
    yaml: [
      'auth: { allow: [127.0.0.0/8], failureDelay: 0.01s }',
      'limits: { messages: [], newRecipients: [] }',
      `delivery: { port: MX_PORT, allowPrivate: [127.0.0.0/8], ip: v4-only, timeouts: ${TIMEOUTS[timeouts]} }`,
      'queue: { minFree: 1MiB, retry: [1h] }',
    ].join('\n'),
  });
  const pair = await makePair('mx.dest.test');
  const hosts = new Map<Hostile, MxServer>();
  for (const one of list) {
    const address = addressOf(HOSTILE.indexOf(one));
    const { script, host, tls } = one;
    hosts.set(one, await startMx({ address, port: relay.mx.port, script, ...host, ...(tls && { tls: pair }) }));
    const domain = domainOf(one);
    relay.dns.set(`mx.${domain}`, { A: [address] });
    relay.dns.set(domain, { MX: one.backup ? [`10 mx.${domain}`, '20 mx.dest.test'] : [`10 mx.${domain}`] });
  }
  const queueId = await send(await relay.loggedIn(), { text: TEXT, to: list.map((one) => `a@${domainOf(one)}`) });
  return { relay, hosts, queueId };
}

const worlds: World[] = [];
let patient: World;
let command: World;
let text: World;
/** The relay with long deadlines. */
let relay: Attacked;
/** Hosts that the patient relay does not give up while the tests run. */
const HANGING = HOSTILE.filter(({ row, deadline }) => row === 'R01' && deadline !== undefined);
/** Good messages that have arrived while all of those were hanging. */
let good = 0;

beforeAll(async () => {
  const decidedBy = (which: Hostile['deadline']) => HOSTILE.filter(({ deadline }) => deadline === which);
  for (const [timeouts, list] of [
    ['command', decidedBy('command')],
    ['text', decidedBy('text')],
    ['patient', [...decidedBy(undefined), ...HANGING]],
  ] as const)
    worlds.push(await startWorld(timeouts, list));
  [command, text, patient] = worlds as [World, World, World];
  relay = patient.relay;
  const client = await relay.loggedIn();
  for (let i = 0; i < 20; i++) {
    await arrives(await send(client, { text: TEXT }));
    if (HANGING.every((one) => outcomeSoFar(patient, `a@${domainOf(one)}`, patient.queueId) === undefined)) good++;
  }
}, 300_000);
afterAll(async () => {
  for (const world of worlds) {
    await nothingIsForgotten(world.relay);
    await Promise.all([...world.hosts.values()].map((host) => host.close())); // a stop waits for the hosts that hang
    await world.relay.close();
  }
}, 300_000);

/** Every accepted recipient has ended, or waits in the store. */
async function nothingIsForgotten(relay: Attacked): Promise<void> {
  const queued = await relay.withStore(async ({ messages }) => {
    const waiting = new Set<string>();
    for (let after = ''; ; ) {
      const page = await messages.list({ limit: 500, ...(after === '' ? {} : { after }) });
      for (const { id, recipients } of page) for (const { address } of recipients) waiting.add(`${id} ${address}`);
      if (page.length < 500) return waiting;
      after = page.at(-1)!.id;
    }
  });
  const ended = new Set(
    relay.log.filter(({ event }) => /^(relayed|failed)$/.test(event)).map((line) => `${line['queueId']} ${line['recipient']}`),
  );
  const due = relay.accepted().flatMap((line) => line['recipients'].map((to: string) => `${line['queueId']} ${to}`) as string[]);
  expect(due.filter((one) => !ended.has(one) && !queued.has(one))).toEqual([]);
}

const isOutcome = ({ event }: LogLine) => /^(relayed|delayed|failed)$/.test(event);
const outcomeSoFar = ({ relay }: Pick<World, 'relay'>, recipient: string, id: string) =>
  relay.log.find((line) => isOutcome(line) && line['queueId'] === id && line['recipient'] === recipient);
const arrives = (id: string) => relay.logged('relayed', (line) => line['queueId'] === id, LONG);

/** What became of it, as HOSTILE has it, and its log line. */
async function outcomeOf(
  world: Pick<World, 'relay'>,
  recipient: string,
  id: string,
): Promise<{ outcome: string; line: LogLine }> {
  const line = await until(`outcome of ${recipient}`, () => outcomeSoFar(world, recipient, id), { deadline: LONG });
  return { outcome: `${line['uncertain'] === true ? 'uncertain' : line.event} ${line['status']}`, line };
}

async function check(one: Hostile): Promise<void> {
  const world = { command, text, patient }[one.deadline ?? 'patient'];
  const { outcome, line } = await outcomeOf(world, `a@${domainOf(one)}`, world.queueId);
  expect(outcome, line['reply']).toMatch(one.expected);
  if (outcome.endsWith(' 4.4.2') && one.deadline !== undefined) expect(line['reply']).toContain('nothing within 2 s');
  const host = world.hosts.get(one)!;
  expect(host.sessions()).toBeLessThanOrEqual(2); // an attempt may be repeated once without TLS
  const arrived = host.count();
  if (outcome.startsWith('relayed') && one.backup !== true) expect(arrived).toBe(1);
  if (one.backup === true) expect(arrived).toBe(0);
  if (outcome.startsWith('failed')) expect(arrived).toBe(0);
}

const rows = (row: string) => HOSTILE.filter((one) => one.row === row).map((one) => [one.name, one] as const);

attack('R01', 'at least 120 scripts', 'each with an outcome of its own', () => {
  expect(HOSTILE.length).toBeGreaterThanOrEqual(120);
  expect(new Set(HOSTILE.map(({ row, name }) => `${row} ${name}`)).size).toBe(HOSTILE.length);
});
attacks(
  'R01',
  'a host that hangs',
  'delayed 4.4.2 at the deadline; uncertain after the final dot; done at QUIT',
  rows('R01'),
  (_, one) => check(one),
);
attacks('R02', 'replies that arrive byte by byte', 'delayed 4.4.2 at the deadline of the whole reply', rows('R02'), (_, one) =>
  check(one),
);
attacks('R03', 'replies without end', 'cut off, delayed 4.5.0', rows('R03'), (_, one) => check(one));
attacks('R04', 'garbage', 'delayed 4.5.0, never success by accident', rows('R04'), (_, one) => check(one));
attacks(
  'R05',
  'reply codes at each stage',
  '4yz delays, 5yz fails the recipient, 421 and a 5yz greeting lead to the next host',
  rows('R05'),
  (_, one) => check(one),
);
attacks('R06', 'replies out of order', 'delayed, failed or uncertain, never delivered', rows('R06'), (_, one) => check(one));
attacks(
  'R07',
  'replies split, and out of number',
  'matched to their commands, or the connection is dropped',
  rows('R07'),
  (_, one) => check(one),
);
attacks('R08', 'STARTTLS that fails', 'delayed; only a later attempt is without TLS', rows('R08'), (_, one) => check(one));

attack('R13', 'other destinations at the same time', 'get their mail while hosts hang', () => {
  expect(good).toBe(20);
});

/** A listener that never accepts: its backlog is full, so that connections to it hang. */
async function startDeaf(address: string, port: number): Promise<{ close(): Promise<void> }> {
  const script =
    'import socket,sys,time\ns=socket.socket()\ns.setsockopt(socket.SOL_SOCKET,socket.SO_REUSEADDR,1)\ns.bind((sys.argv[1],int(sys.argv[2])))\ns.listen(0)\nprint("ready",flush=True)\ntime.sleep(600)';
  const program: Program = startProgram({ command: 'python3', args: ['-c', script, address, String(port)] });
  await until('the deaf listener', () => program.output().includes('ready'));
  const fill: Socket[] = Array.from({ length: 4 }, () => connect(port, address).on('error', () => {}));
  await new Promise((resolve) => fill[0]!.once('connect', resolve));
  return {
    async close() {
      for (const socket of fill) socket.destroy();
      await program.close();
    },
  };
}

if (requirePeer('python3', hasCommand('python3'))) {
  attack('R01', 'a connection that is never answered', 'delayed 4.4.1 at the deadline', async () => {
    const deaf = await startDeaf('127.0.49.1', command.relay.mx.port);
    command.relay.dns.set('deaf.test', { A: ['127.0.49.1'] });
    const id = await send(await command.relay.loggedIn(), { text: TEXT, to: ['a@deaf.test'] });
    const { outcome } = await outcomeOf(command, 'a@deaf.test', id);
    expect(outcome).toBe('delayed 4.4.1');
    await deaf.close();
  });
}

attack('R02', 'a host that takes a byte now and then while we send 6 MB', 'delayed 4.4.2, given up', async () => {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 slow\r\n');
    let deaf = false;
    socket.on('data', (chunk) => {
      const line = chunk.toString('latin1');
      if (deaf) return;
      if (line.startsWith('EHLO')) socket.write('250 slow\r\n');
      else if (line.startsWith('DATA')) {
        socket.write('354 go\r\n');
        deaf = true;
        socket.pause();
        const timer = setInterval(() => socket.read(1), 100);
        socket.on('close', () => clearInterval(timer));
      } else socket.write('250 ok\r\n');
    });
  });
  await new Promise<void>((resolve) => server.listen(text.relay.mx.port, '127.0.49.2', resolve));
  text.relay.dns.set('slow.test', { A: ['127.0.49.2'] });
  const large = `${TEXT}${`${'x'.repeat(998)}\r\n`.repeat(6000)}`;
  const id = await send(await text.relay.loggedIn(), { text: large, to: ['a@slow.test'] });
  const { outcome } = await outcomeOf(text, 'a@slow.test', id);
  expect(outcome).toBe('delayed 4.4.2');
  server.close();
});

const PAYLOADS: readonly (readonly [string, string])[] = [
  ['HTML and escapes', '550 5.1.1 <script>alert(1)</script>\x1b[2J\x07 no'],
  [
    'lookalikes of report fields',
    '550-5.1.1 no\r\n550-\r\n550-Final-Recipient: rfc822; evil@x.test\r\n550-Action: delivered\r\n550 5.1.1 Status: 2.0.0',
  ],
  ['a success inside', '550-5.1.1 250 2.0.0 Ok: queued\r\n550 5.1.1 250 Ok'],
  ['10 kB', `550 5.1.1 ${'long '.repeat(2000)}`],
  ['a boundary and dots', '550-5.1.1 ------=_Part\r\n550-.\r\n550 5.1.1 .'],
  ['bytes that are no UTF-8', '550 5.1.1 \xff\xfe\x80 no'],
];
attacks(
  'R09',
  'reply texts as payload',
  'quoted and capped in the report and in the log',
  PAYLOADS.map(([name, reply], i) => [name, reply, i] as const),
  async (_, reply, i) => {
    const host = await startMx({
      address: `127.0.49.${20 + i}`,
      port: relay.mx.port,
      script: { RCPT: { raw: Buffer.from(`${reply}\r\n`, 'latin1') } },
    });
    const domain = `payload${i}.test`;
    relay.dns.set(domain, { MX: [`10 mx.${domain}`] });
    relay.dns.set(`mx.${domain}`, { A: [`127.0.49.${20 + i}`] });
    const id = await send(await relay.loggedIn(), { text: TEXT, to: [`a@${domain}`] });
    const { outcome, line } = await outcomeOf(patient, `a@${domain}`, id);
    expect(outcome).toBe('failed 5.1.1');
    expect(JSON.stringify(line).length).toBeLessThan(3000);
    expect(line['reply']).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f]/);
    const reported = await relay.logged('reported', (one) => one['about'] === id);
    const report = await until('the report', () =>
      relay.mx.messages.find(({ data, mailFrom }) => mailFrom === '' && data.includes(reported['queueId'])),
    );
    const text = report.data.toString('latin1');
    const status = text.slice(text.indexOf('message/delivery-status'));
    expect(status.match(/^Final-Recipient: .*$/gm)).toEqual([`Final-Recipient: rfc822; a@${domain}`]);
    expect(status.match(/^Action: .*$/gm)).toEqual(['Action: failed']);
    expect(status.match(/^Status: .*$/gm)).toEqual(['Status: 5.1.1']);
    expect(text).not.toMatch(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]|<script>[\s\S]*content-type: text\/html/i);
    expect(text.split('\r\n').every((one) => one.length <= 998)).toBe(true);
    expect(report.data.length).toBeLessThan(20_000);
    await host.close();
  },
);

attack(
  'R10',
  'a report that fails, and a sender that does not exist',
  'one report; the double bounce is logged and dropped',
  async () => {
    const before = relay.events('reported').length;
    relay.mx.script({ RCPT: ({ address }) => (address === USER ? '550 5.1.1 No such user' : undefined) });
    relay.dns.set('gone.test', { MX: ['0 .'] });
    const id = await send(await relay.loggedIn(), { text: TEXT, to: ['a@gone.test', 'b@gone.test'] });
    const reported = await relay.logged('reported', (one) => one['about'] === id);
    await relay.logged('failed', (one) => one['queueId'] === reported['queueId']);
    await new Promise((resolve) => setTimeout(resolve, 300));
    relay.mx.script({});
    expect(relay.events('reported').length - before).toBe(1);
  },
);

attack('R10', '300 failures of one message', 'one report, bounded, to the envelope sender', async () => {
  relay.dns.set('void.test', { MX: ['0 .'] });
  const before = relay.mx.messages.length;
  const id = await send(await relay.loggedIn(), { text: TEXT, to: Array.from({ length: 300 }, (_, i) => `a${i}@void.test`) });
  await until('all failed', () => relay.log.filter((line) => line.event === 'failed' && line['queueId'] === id).length === 300);
  await until('the reports', () => relay.mx.messages.slice(before).filter(({ mailFrom }) => mailFrom === '').length > 0);
  await new Promise((resolve) => setTimeout(resolve, 500));
  const reports = relay.mx.messages.slice(before).filter(({ mailFrom }) => mailFrom === '');
  expect(reports).toHaveLength(1);
  expect(reports.every(({ recipients }) => recipients.length === 1 && recipients[0]!.address === USER)).toBe(true);
  const named = reports.flatMap(({ data }) => data.toString().match(/^Final-Recipient: .*$/gm) ?? []);
  expect(new Set(named).size).toBe(300);
});

attack('R10', '200 dead domains in one message', 'one report that names each of them once', async () => {
  const to = Array.from({ length: 200 }, (_, i) => `a@dead${i}.test`);
  for (let i = 0; i < 200; i++) relay.dns.set(`dead${i}.test`, { MX: ['0 .'] });
  const id = await send(await relay.loggedIn(), { text: TEXT, to });
  await until('all failed', () => relay.log.filter((line) => line.event === 'failed' && line['queueId'] === id).length === 200);
  await until('the report', () => relay.events('reported').some((line) => line['about'] === id));
  const { queueId } = relay.events('reported').find((line) => line['about'] === id)!;
  await relay.logged('relayed', (line) => line['queueId'] === queueId);
  expect(relay.events('reported').filter((line) => line['about'] === id)).toHaveLength(1);
  const report = relay.mx.messages.find(({ data, mailFrom }) => mailFrom === '' && data.includes(`<${queueId}.`));
  expect(new Set(report!.data.toString().match(/^Final-Recipient: .*$/gm)).size).toBe(200);
});

attacks(
  'R11',
  'mail loops',
  '554 5.4.6 after the last dot',
  [
    ['101 Received', 'Received: from a by b; x\r\n'.repeat(101), '554 5.4.6'],
    ['100 Received', 'Received: from a by b; x\r\n'.repeat(100), '250 2.0.0'],
    ['our own mark twice', 'Received: by relay.test with ESMTPSA id x; y\r\n'.repeat(2), '554 5.4.6'],
    [
      'our own mark twice, folded and in other letters',
      'Received: from x\r\n BY Relay.Test\r\n with ESMTP; y\r\n'.repeat(2),
      '554 5.4.6',
    ],
    ['our own mark once', 'Received: by relay.test with ESMTPSA id x; y\r\n', '250 2.0.0'],
    ['Delivered-To', 'Delivered-To: anna@dest.test\r\n', '250 2.0.0'],
  ],
  async (_, header, expected) => {
    expect(await verdict(await relay.loggedIn(), { text: `${header}${TEXT}` })).toBe(expected);
  },
);

const SIGNED = 'v=1; a=rsa-sha256; d=other.test; s=x; h=from:to; bh=AAAA; b=AAAA';
attacks(
  'R12',
  'headers that aim at DKIM',
  'signed once by each key, oversigned, without l=, or refused',
  [
    ['200 signatures of others', `DKIM-Signature: ${SIGNED}\r\n`.repeat(200), '250 2.0.0'],
    ['an h= bomb', `DKIM-Signature: ${SIGNED.replace('from:to', 'from:'.repeat(5000))}\r\n`, '250 2.0.0'],
    ['list fields', 'List-Unsubscribe: <https://x.test/>\r\nList-Id: x.test\r\nSender: app@sender.test\r\n', '250 2.0.0'],
    ['two Subject', 'Subject: again\r\n', '550 5.6.0'],
    ['a signature with l=', `DKIM-Signature: ${SIGNED}; l=0\r\n`, '250 2.0.0'],
  ],
  async (_, header, expected) => {
    const before = relay.mx.count();
    const reply = await submit(await relay.loggedIn(), { text: `${header}${TEXT}` });
    expect(codeOf(reply)).toBe(expected);
    if (expected !== '250 2.0.0') return;
    const found = async () => (await relay.mx.received(before + 1)).find(({ data }) => data.includes(reply.split(' ').at(-1)!));
    const text = (await until('the message', found)).data.toString('latin1').replace(/\r\n[ \t]+/g, ' ');
    const ours = text.match(/^DKIM-Signature: [^\r]*d=sender\.test[^\r]*/gm) ?? [];
    expect(ours).toHaveLength(2);
    for (const signature of ours) {
      expect(signature).not.toMatch(/[;\s]l=/);
      const names = /h=([^;]*)/.exec(signature)![1]!.replace(/\s/g, '').toLowerCase().split(':');
      for (const name of ['from', 'to', 'subject', 'date', 'message-id'])
        expect(names.filter((one) => one === name).length).toBeGreaterThanOrEqual(2);
      for (const name of ['cc', 'content-type', 'mime-version']) expect(names).toContain(name);
    }
  },
);

const HELD = sized(1000, 400, 1000);
attack('R13', 'hundreds of messages to a host that hangs, 50 to a good one', 'the good ones arrive while it hangs', async () => {
  const tarpit = await startMxServer({
    hostname: 'tarpit.test',
    address: '127.0.49.9',
    port: relay.mx.port,
    script: { MAIL: 'hang' },
  });
  relay.dns.set('tarpit.test', { A: ['127.0.49.9'] });
  const clients = await Promise.all(Array.from({ length: 8 }, () => relay.loggedIn()));
  const flood = Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < HELD / clients.length; i++) await send(client, { text: TEXT, to: ['a@tarpit.test'] });
    }),
  );
  const client = await relay.loggedIn();
  for (let i = 0; i < 50; i++) await arrives(await send(client, { text: TEXT }));
  await flood;
  const ends = () => relay.log.filter((line) => isOutcome(line) && line['recipient'] === 'a@tarpit.test');
  expect(ends()).toEqual([]);
  tarpit.script({ MAIL: 'close' });
  tarpit.disconnect();
  await until('the first outcome', () => ends().length > 0, { deadline: LONG });
  for (let i = 0; i < 10; i++) await arrives(await send(client, { text: TEXT }));
  expect(tarpit.sessions()).toBeLessThan(100); // the host rests and is not asked for each message
  relay.dns.set('tarpit.test', { MX: ['0 .'] });
  await tarpit.close();
});
