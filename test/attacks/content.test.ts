/** The data between 354 and the final dot: rows P01 to P03, P07 to P09, P11, P17 and P18, behaviour rules 2 and 9. */
import { Resolver } from 'node:dns/promises';
import { createServer, type Server } from 'node:net';
import { dkimVerify } from 'mailauth/lib/dkim/verify.js';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  type Attacked,
  codeOf,
  type RawClient,
  send,
  startAttacked,
  submit,
  TEXT,
  UNCOUNTED,
  USER,
  verdict,
} from '../support/attack-rig.ts';
import { cpuClock } from '../support/cpu-time.ts';
import { until } from '../support/program.ts';
import { attack, attacks } from './attack.ts';

const RECORDER = '127.0.44.1';
const MIB = 1024 * 1024;

let relay: Attacked;
let recorder: Server;
/** All bytes received after 354, up to CRLF.CRLF. */
const wire: Buffer[] = [];

beforeAll(async () => {
  relay = await startAttacked({
    yaml: `${UNCOUNTED}\nlimits: { messages: [], newRecipients: [] }`,
    zone: { 'recorder.test': { MX: ['10 mx.recorder.test'] }, 'mx.recorder.test': { A: [RECORDER] } },
  });
  recorder = createServer((socket) => {
    let held = Buffer.alloc(0);
    let inText = false;
    socket.on('error', () => {});
    socket.write('220 mx.recorder.test\r\n');
    socket.on('data', (chunk) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const end = held.indexOf(inText ? '\r\n.\r\n' : '\r\n');
        if (end === -1) return;
        const length = end + (inText ? 5 : 2);
        const piece = held.subarray(0, length);
        held = held.subarray(length);
        if (inText) wire.push(piece);
        inText = !inText && piece.toString() === 'DATA\r\n';
        socket.write(inText ? '354 go on\r\n' : '250 ok\r\n');
      }
    });
  });
  await new Promise<void>((resolve) => recorder.listen(relay.mx.port, RECORDER, resolve));
});
afterEach(() => relay?.hangUp());
afterAll(async () => {
  await relay?.nothingIsLost();
  await relay?.close();
  recorder?.close();
});

const MAIL = `MAIL FROM:<${USER}>`;
const RCPT = 'RCPT TO:<anna@dest.test>';
const HEADER = `From: ${USER}\r\nSubject: x\r\n\r\n`;

async function inData(to = 'anna@dest.test'): Promise<RawClient> {
  const client = await relay.loggedIn();
  expect(await client.askAll([MAIL, `RCPT TO:<${to}>`, 'DATA'])).toEqual(['250 2.1.0', '250 2.1.5', '354']);
  return client;
}

/** The message that arrives for this text. */
async function delivered(text: string | Buffer): Promise<Buffer> {
  const client = await relay.loggedIn();
  const before = relay.mx.count();
  await send(client, { text });
  return (await relay.mx.received(before + 1, 30_000)).at(-1)!.data;
}

const FALSE_ENDS = [
  '\n.\n',
  '\r.\r',
  '\r.\n',
  '\n.\r',
  '\n.\r\n',
  '\r\n.\n',
  '\r.\r\n',
  '\r\n.\r',
  '\r\n\0.\r\n',
  '\r\n.\0\r\n',
  '\r\n.\r\r\n',
  '\r\r\n.\r\r\n',
];

attacks(
  'P01',
  'smuggling, inbound',
  '550 5.6.11 once, after the real end; no second message is seen',
  FALSE_ENDS.map((form) => [JSON.stringify(form), form] as const),
  async (_, form) => {
    await relay.lettingNothingIn(async () => {
      const evil = `MAIL FROM:<evil@sender.test>\r\nRCPT TO:<evil@dest.test>\r\nDATA\r\nFrom: evil@sender.test\r\n\r\nevil\r\n`;
      for (const begin of ['text', 'text\r\nmore', '']) {
        const client = await inData();
        client.send(`${HEADER}${begin}${form}${evil}.\r\nNOOP\r\nQUIT\r\n`);
        await client.closed();
        expect([codeOf(await client.reply()), codeOf(await client.reply())], begin).toEqual(['550 5.6.11', '250 2.0.0']);
        expect(codeOf(await client.reply())).toBe('221 2.0.0');
        expect(client.unread).toBe('');
      }
    });
  },
);

attack(
  'P02',
  'smuggling by segmentation: first line .., and the end cut at every byte',
  'the same bytes give the same message',
  async () => {
    const sent = Buffer.from(`${HEADER}..\r\n..a\r\n.b\r\nend\r\n.\r\n`);
    const bodyOf = (data: Buffer) => data.subarray(data.indexOf('\r\n\r\n') + 4).toString('latin1');
    const client = await relay.loggedIn();
    client.socket.setNoDelay(true);
    const before = relay.mx.count();
    const writeAll = async (pieces: readonly Buffer[]) => {
      expect(await client.askAll([MAIL, RCPT, 'DATA'])).toEqual(['250 2.1.0', '250 2.1.5', '354']);
      for (const piece of pieces) await new Promise((resolve) => client.socket.write(piece, resolve));
      expect(codeOf(await client.reply())).toBe('250 2.0.0');
    };
    let messages = 0;
    for (let at = 1; at < sent.length; at++) {
      if (at > 5 && at < HEADER.length - 3) continue; // all alike
      await writeAll([sent.subarray(0, at), sent.subarray(at)]);
      messages++;
    }
    await writeAll(Array.from(sent, (byte) => Buffer.from([byte])));
    const received = await relay.mx.received(before + messages + 1, 30_000);
    expect(new Set(received.slice(before).map(({ data }) => bodyOf(data)))).toEqual(new Set(['.\r\n.a\r\nb\r\nend\r\n']));
  },
);

attacks(
  'P03',
  'smuggling, outbound',
  'no bare CR, LF or NUL is sent, each dot at a line start is doubled, DKIM verifies',
  [
    ['bare LF', 'a\nb\nc\r\n'],
    ['bare CR', 'a\rb\r\n'],
    ['LF CR', 'a\n\rb\r\n'],
    ['dots', '.\u0020\r\n..\r\n...\r\n..x\r\n'],
    ['a dot line that was stuffed', '..\r\nMAIL FROM:<evil@x.test>\r\nRCPT TO:<x@y.test>\r\nDATA\r\n'],
    ['no newline at the end', 'x'],
    ['CR before CRLF', 'a\r\r\nb\r\n'],
    ['a dot behind a bare LF', 'a\n.b\r\n'],
    ['a long line', `${'x'.repeat(60_000)}\r\n`],
    ['8 bit', 'ä\xe4\xff\r\n'],
    ['blank lines', '\r\n\r\n \r\n\r\n\r\n'],
  ],
  async (_, body) => {
    const before = wire.length;
    const client = await inData('anna@recorder.test');
    client.send(Buffer.from(`${HEADER}${body}`, 'latin1'));
    client.send(body.endsWith('\r\n') ? '.\r\n' : '\r\n.\r\n');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    const bytes = await until('the message on the wire', () => wire[before]);
    await client.ask('NOOP');
    expect(wire).toHaveLength(before + 1);
    const text = bytes.toString('latin1');
    expect(text).not.toMatch(/\0|\r(?!\n)|(?<!\r)\n/);
    expect(text.slice(0, -3)).not.toMatch(/(^|\r\n)\.(?!\.)/);
    const unstuffed = Buffer.from(text.slice(0, -3).replace(/(^|\r\n)\./g, '$1'), 'latin1');
    const resolver = new Resolver();
    resolver.setServers([relay.dns.server]);
    const { results } = await dkimVerify(unstuffed, { resolver: async (name: string) => resolver.resolveTxt(name) });
    expect(results.map(({ status }) => status.result)).toEqual(['pass', 'pass']);
  },
);

attacks(
  'P07',
  'headers and lines that are too long',
  '552 5.3.4 for the header; a line of the text may have any length',
  [
    ['a field of 2 MB', `X: ${'a '.repeat(MIB)}\r\n${TEXT}`, /^552 5\.3\.4$/],
    ['a folded field of 2 MB', `X: a\r\n${` ${'a'.repeat(70)}\r\n`.repeat(28_000)}${TEXT}`, /^552 5\.3\.4$/],
    ['100 000 fields', `${'X: y\r\n'.repeat(100_000)}${TEXT}`, /^552 5\.3\.4$/],
    ['a line of 2 MB', `${HEADER}${'x'.repeat(2 * MIB)}\r\n`, /^250 2\.0\.0$/],
    ['a line of 999', `${HEADER}${'x'.repeat(999)}\r\n`, /^250 2\.0\.0$/],
    [
      '10 000 addresses in To',
      `To: ${Array.from({ length: 10_000 }, (_, i) => `a${i}@b.test`).join(',\r\n ')}\r\n${TEXT.replace(/^To:.*\r\n/m, '')}`,
      /^250 2\.0\.0$/,
    ],
  ],
  async (_, text, expected) => {
    const client = await relay.loggedIn();
    const began = cpuClock();
    expect(await verdict(client, { text })).toMatch(expected);
    expect(cpuClock() - began).toBeLessThan(20_000);
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  },
);

attacks(
  'P08',
  'NUL and 8 bit',
  'NUL 550 5.6.11; 8 bit in a header passes unchanged, with a line in the log',
  [
    ['NUL in the body', `${HEADER}x\0y\r\n`, '550 5.6.11'],
    ['NUL in the header', `From: ${USER}\r\nSubject: x\0y\r\n\r\nx\r\n`, '550 5.6.11'],
    ['Latin-1 in the subject', `From: ${USER}\r\nSubject: \xff\xfe\r\n\r\nx\r\n`, '250 2.0.0'],
    ['UTF-8 in the subject', `From: ${USER}\r\nSubject: \xc3\xa4\r\n\r\nx\r\n`, '250 2.0.0'],
  ],
  async (_, text, expected) => {
    const before = relay.log.length;
    const client = await relay.loggedIn();
    const seen = relay.mx.count();
    expect(await verdict(client, { text: Buffer.from(text, 'latin1') })).toBe(expected);
    if (expected !== '250 2.0.0') return;
    const [message] = (await relay.mx.received(seen + 1)).slice(-1);
    expect(message!.data.toString('latin1')).toContain(text);
    const warnings = relay.log.slice(before).filter(({ level }) => level === 'warn');
    expect(warnings).toHaveLength(1);
  },
);

attack('P08', 'an address that is not ASCII, without SMTPUTF8', '553 5.6.7', async () => {
  const client = await relay.loggedIn();
  expect(codeOf(await client.ask('MAIL FROM:<ä@sender.test>'))).toBe('553 5.6.7');
  await client.ask(MAIL);
  expect(codeOf(await client.ask('RCPT TO:<ä@dest.test>'))).toBe('553 5.6.7');
});

attacks(
  'P09',
  'headers that are invalid or doubled',
  '550 5.6.0',
  [
    ['no header', 'Hello there\r\nthis is no header\r\n'],
    ['nothing at all', ''],
    ['an empty line first', `\r\nFrom: ${USER}\r\n\r\nx\r\n`],
    ['no From', 'Subject: x\r\n\r\nx\r\n'],
    ['a From without an address', 'From: Anna\r\n\r\nx\r\n'],
    ['two From', `From: ${USER}\r\nFrom: ${USER}\r\n\r\nx\r\n`],
    ['two From in other letters', `From: ${USER}\r\nFROM : ${USER}\r\n\r\nx\r\n`],
    ['two Subject', `From: ${USER}\r\nSubject: a\r\nSubject: b\r\n\r\nx\r\n`],
    ['two To', `From: ${USER}\r\nTo: a@b.test\r\nTo: c@d.test\r\n\r\nx\r\n`],
    ['two Date', `From: ${USER}\r\nDate: x\r\nDate: y\r\n\r\nx\r\n`],
    ['two Message-ID', `From: ${USER}\r\nMessage-ID: <a@b>\r\nMessage-ID: <c@d>\r\n\r\nx\r\n`],
    ['a line that is no field', `From: ${USER}\r\nno field\r\n\r\nx\r\n`],
    ['a fold as the first line', ` x\r\nFrom: ${USER}\r\n\r\nx\r\n`],
    ['several authors and no Sender', `From: ${USER}, b@sender.test\r\n\r\nx\r\n`],
    ['several in Sender', `From: ${USER}, b@sender.test\r\nSender: ${USER}, b@other.test\r\n\r\nx\r\n`],
  ],
  async (_, text) => {
    await relay.lettingNothingIn(async () => {
      const client = await relay.loggedIn();
      expect(await verdict(client, { text })).toBe('550 5.6.0');
    });
  },
);

attack('P09', 'no Date and no Message-ID', 'added: RFC 6409 §8', async () => {
  const data = (await delivered(`From: ${USER}\r\n\r\nx\r\n`)).toString();
  expect(data).toMatch(/^Date: /m);
  expect(data).toMatch(/^Message-ID: <.+>/m);
});

attacks(
  'P11',
  'a bare CR in the header',
  '550 5.6.11',
  [
    ['before a field', `From: ${USER}\r\nX: 1\rBcc: z@z.test\r\n\r\nx\r\n`],
    ['before the end of a line', `From: ${USER}\r\r\nSubject: x\r\n\r\nx\r\n`],
    ['alone', `From: ${USER}\r\n\r\r\nBcc: z@z.test\r\n\r\nx\r\n`],
  ],
  async (_, text) => {
    await relay.lettingNothingIn(async () => {
      const client = await relay.loggedIn();
      expect(await verdict(client, { text })).toBe('550 5.6.11');
    });
  },
);

const TYPE = (boundary: string) =>
  `From: ${USER}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary="${boundary}"\r\n\r\n`;
const nested = (depth: number) =>
  Array.from({ length: depth }, (_, i) => `--b${i}\r\nContent-Type: multipart/mixed; boundary=b${i + 1}\r\n\r\n`).join('');

attacks(
  'P17',
  'MIME bombs',
  'forwarded untouched in linear time, or refused; others are served meanwhile',
  [
    ['10 000 levels', `${TYPE('b0')}${nested(10_000)}`, '250'],
    ['a million parts', `${TYPE('b')}${'--b\r\n\r\n'.repeat(1_000_000)}`, '250'],
    ['a boundary of 1 MB', `${TYPE('b'.repeat(MIB))}x\r\n`, '55'],
    ['1000 messages within messages', `${TYPE('b')}${'--b\r\nContent-Type: message/rfc822\r\n\r\n'.repeat(1000)}`, '250'],
    [
      'quotes that are not closed',
      `From: ${USER}\r\nContent-Type: multipart/mixed; boundary="${'\\"'.repeat(20_000)}\r\n\r\n--"\r\n`,
      '250',
    ],
    ['5 MB of blanks on one line', `${HEADER}${' '.repeat(5 * MIB)}x\r\n`, '250'],
    ['4 MB of blanks on lines of 60 kB', `${HEADER}${`${' '.repeat(60_000)}\r\n`.repeat(70)}`, '250'],
    ['4 MB of blanks before a word on lines of 60 kB', `${HEADER}${`${' '.repeat(60_000)}x\r\n`.repeat(70)}`, '250'],
    ['500 000 empty lines', `${HEADER}${'\r\n'.repeat(500_000)}`, '250'],
    ['500 000 empty lines before a word', `${HEADER}${'\r\n'.repeat(500_000)}x\r\n`, '250'],
    ['blanks and tabs in turn', `${HEADER}${`${' \t'.repeat(20_000)}x`.repeat(1)}\r\n`.repeat(1), '250'],
  ],
  async (_, text, expected) => {
    const other = await relay.loggedIn();
    const client = await relay.loggedIn();
    const before = relay.mx.count();
    const began = cpuClock();
    const answer = submit(client, { text });
    const pings: number[] = [];
    let done = false;
    void answer.finally(() => {
      done = true;
    });
    for (let i = 0; i < 60 && !done; i++) {
      const asked = cpuClock();
      await other.ask('NOOP');
      pings.push(cpuClock() - asked);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    const reply = await answer;
    expect(reply.startsWith(expected), reply).toBe(true);
    expect(cpuClock() - began).toBeLessThan(30_000);
    expect(Math.max(...pings)).toBeLessThan(5000); // a few milliseconds
    if (expected !== '250') return;
    const [message] = (await relay.mx.received(before + 1, 30_000)).slice(-1);
    expect(message!.data.subarray(-1000).equals(Buffer.from(text).subarray(-1000))).toBe(true);
    expect(message!.data.length).toBeGreaterThan(text.length);
  },
);

const BOMBS: readonly (readonly [string, string])[] = [
  ['30 000 labels', `a@${'a.'.repeat(30_000)}test`],
  ['opening parentheses', '('.repeat(60_000)],
  ['nested comments', `${'('.repeat(30_000)}${')'.repeat(30_000)}`],
  ['quotes and backslashes', '"\\'.repeat(30_000)],
  ['brackets', '<'.repeat(60_000)],
  ['commas', ','.repeat(60_000)],
  ['groups', 'a:;'.repeat(20_000)],
  ['at signs', 'a@'.repeat(30_000)],
  ['dots', '.'.repeat(60_000)],
  ['blanks', `a${' '.repeat(60_000)}@b.test`],
  ['encoded words', '=?utf-8?q?'.repeat(6000)],
  ['routes', `<${'@a.test,'.repeat(7000)}@a.test:b@c.test>`],
];
attacks('P18', 'regex bombs in From and To', '550 or 250 at once', BOMBS, async (_, bomb) => {
  const client = await relay.loggedIn();
  for (const [text, expected] of [
    [`From: ${bomb}\r\n\r\nx\r\n`, /^550 5\.(6\.0|7\.1)$/],
    [`From: ${USER}\r\nTo: ${bomb}\r\nCc: ${bomb}\r\nReply-To: ${bomb}\r\n\r\nx\r\n`, /^250 2\.0\.0$/],
    [`From: ${USER}\r\nSender: ${bomb}\r\n\r\nx\r\n`, /^550 5\.(6\.0|7\.1)$/],
    [`From: ${USER}\r\nDKIM-Signature: ${bomb}\r\nContent-Type: ${bomb}\r\nReceived: ${bomb}\r\n\r\nx\r\n`, /^250 2\.0\.0$/],
  ] as const) {
    const began = cpuClock();
    const code = await verdict(client, { text });
    expect(code).toMatch(expected);
    expect(cpuClock() - began).toBeLessThan(5000); // some 10 ms
  }
});

attack('P18', 'regex bombs as addresses and parameters', '501, 553 or 555 at once', async () => {
  const client = await relay.loggedIn();
  const began = cpuClock();
  for (const path of [
    `a@${'a.'.repeat(2000)}`,
    '"\\'.repeat(2000),
    '@a,'.repeat(1300),
    '<'.repeat(4000),
    `${'a.'.repeat(2000)}@b.test`,
  ]) {
    expect(codeOf(await client.ask(`MAIL FROM:<${path}>`))).toMatch(/^(?:50[01]|553) 5/);
  }
  expect(codeOf(await client.ask(`${MAIL} ${'A=B '.repeat(990)}`))).toMatch(/^555|^501/);
  expect(codeOf(await client.ask(`${MAIL} ENVID=${'+2B'.repeat(1300)}`))).toBe('501 5.5.4');
  expect(cpuClock() - began).toBeLessThan(5000);
});
