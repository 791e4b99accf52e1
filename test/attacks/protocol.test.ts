/** Commands and their lines: rows P04 to P07, P10, P12 to P16, P19 to P23, behaviour rules 2 and 8. Content is in content.test.ts. */
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  type Attacked,
  base64,
  codeOf,
  PASSWORD,
  plain,
  quiet,
  type RawClient,
  RIGHT,
  send,
  startAttacked,
  submit,
  TEXT,
  UNCOUNTED,
  USER,
  verdict,
} from '../support/attack-rig.ts';
import { attack, attacks } from './attack.ts';

let relay: Attacked;
const SIZE = 4 * 1024 * 1024;
beforeAll(async () => {
  relay = await startAttacked({
    yaml: `${UNCOUNTED}\nsubmission: { maxMessageSize: 4MiB }\nlimits: { messages: [], newRecipients: [] }\nlog: { level: debug }`,
    zone: { '*.test': { MX: ['10 mx.dest.test'] } },
  });
});
afterEach(() => relay?.hangUp());
afterAll(async () => {
  await relay?.nothingIsLost();
  await relay?.close();
});

const MAIL = `MAIL FROM:<${USER}>`;
const RCPT = 'RCPT TO:<anna@dest.test>';
const EVIL = `${MAIL}\r\nRCPT TO:<evil@dest.test>\r\nDATA\r\nFrom: ${USER}\r\n\r\nevil\r\n`;

/** In a transaction, up to 354. */
async function inData(): Promise<RawClient> {
  const client = await relay.loggedIn();
  expect(await client.askAll([MAIL, RCPT, 'DATA'])).toEqual(['250 2.1.0', '250 2.1.5', '354']);
  return client;
}

attack('P04', 'commands after a false end of an oversized message', '552 5.3.4 once, no command is executed', async () => {
  await relay.lettingNothingIn(async () => {
    const client = await inData();
    client.send(`From: ${USER}\r\n\r\n${`${'x'.repeat(998)}\r\n`.repeat(SIZE / 1000)}`);
    client.send(`${'y'.repeat(SIZE / 2)}\n.\n${EVIL}\n.\r\n${EVIL}\r\n.\r\nNOOP\r\n`);
    expect([codeOf(await client.reply()), codeOf(await client.reply())]).toEqual(['552 5.3.4', '250 2.0.0']);
  });
});

attacks(
  'P05',
  'commands that end in a bare LF',
  '500 5.5.2, not executed',
  [
    ['MAIL', 'MAIL FROM:<app@sender.test>\n'],
    ['an empty one', '\n'],
    ['two in one line', 'NOOP\nNOOP\r\n'],
    ['AUTH', 'AUTH PLAIN\n'],
  ],
  async (_, bytes) => {
    const client = await relay.loggedIn();
    client.send(bytes);
    expect(codeOf(await client.reply())).toBe('500 5.5.2');
    if (bytes.endsWith('\r\n')) expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(codeOf(await client.ask(RCPT))).toBe('503 5.5.1'); // no transaction was begun
  },
);

attacks(
  'P06',
  'CR, LF, NUL and TAB in the envelope',
  '501, with 5.1.x or 5.5.4',
  [
    ['CR in MAIL', 'MAIL FROM:<a\rb@sender.test>', '501 5.1.7'],
    ['NUL in MAIL', 'MAIL FROM:<a\0b@sender.test>', '501 5.1.7'],
    ['TAB in MAIL', 'MAIL FROM:<a\tb@sender.test>', '501 5.1.7'],
    ['DEL in MAIL', 'MAIL FROM:<a\x7fb@sender.test>', '501 5.1.7'],
    ['ENVID', `${MAIL} ENVID=a+0D+0AX`, '501 5.5.4'],
    ['ENVID with NUL', `${MAIL} ENVID=a+00`, '501 5.5.4'],
    ['CR in RCPT', 'RCPT TO:<a\rb@dest.test>', '501 5.1.3'],
    ['NUL in RCPT', 'RCPT TO:<a\0b@dest.test>', '501 5.1.3'],
    ['ORCPT', 'RCPT TO:<a@dest.test> ORCPT=rfc822;a+0D+0A', '501 5.5.4'],
    ['ORCPT with NUL', 'RCPT TO:<a@dest.test> ORCPT=rfc822;a+00', '501 5.5.4'],
  ],
  async (_, line, expected) => {
    const client = await relay.loggedIn();
    if (line.startsWith('RCPT')) await client.ask(MAIL);
    expect(codeOf(await client.ask(line))).toBe(expected);
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  },
);

attacks(
  'P07',
  'commands and addresses that are too long',
  '500 5.5.6 for the line, 501 for the address',
  [
    ['a line of 16 kB', `NOOP ${'x'.repeat(16_384)}`, '500 5.5.6'],
    ['a line of 4097 octets', `NOOP ${'x'.repeat(4097 - 7)}`, '500 5.5.6'],
    ['a line of 4096 octets', `NOOP ${'x'.repeat(4096 - 7)}`, '250 2.0.0'],
    ['10 MB without an end', 'x'.repeat(10 * 1024 * 1024), '500 5.5.6'],
    ['a local part of 4000', `MAIL FROM:<${'l'.repeat(4000)}@sender.test>`, '250 2.1.0'],
    ['a domain of 255', `MAIL FROM:<a@${`${'d'.repeat(60)}.`.repeat(4)}sender.test>`, '501 5.1.7'],
    ['a label of 64', `MAIL FROM:<a@${'d'.repeat(64)}.test>`, '501 5.1.7'],
    ['a source route of 4000', `MAIL FROM:<${'@a.test,'.repeat(500)}@a.test:${USER}>`, '250 2.1.0'],
  ],
  async (_, line, expected) => {
    const client = await relay.loggedIn();
    expect(codeOf(await client.ask(line))).toMatch(expected);
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  },
);

attack('P07', 'AUTH lines of 12288 octets, and longer', '535 and 500 5.5.6', async () => {
  const client = await relay.tls();
  await client.ask('EHLO client.test');
  const line = (octets: number) => `AUTH PLAIN ${'A'.repeat(octets - 'AUTH PLAIN \r\n'.length)}`;
  expect(codeOf(await client.ask(line(12_289)))).toBe('500 5.5.6');
  expect(codeOf(await client.ask(line(12_288)))).toMatch(/^501 5\.5\.2|^535 5\.7\.8/);
  expect(codeOf(await client.ask('AUTH LOGIN'))).toBe('334');
  expect(codeOf(await client.ask('A'.repeat(12_287)))).toBe('500 5.5.6');
  expect(codeOf(await client.ask(RIGHT))).toBe('235 2.7.0');
});

attacks(
  'P10',
  'a HELO name as a payload',
  '501 or 500 if it is invalid; an accepted name is not in Received',
  [
    ['a line break', 'x\nBcc: z@dest.test', '500 5.5.2'],
    ['CR', 'x\rBcc: z@dest.test', '501 5.5.2'],
    ['300 octets', 'x'.repeat(300), '501 5.5.4'],
    ['none', '', '501 5.5.4'],
    ['a comment', 'x) (evil', '250'],
    ['a semicolon', 'evil; x', '250'],
    ['an address', 'evil [10.0.0.1]', '250'],
  ],
  async (_, name, expected) => {
    const client = await relay.tls();
    expect(codeOf(await client.ask(`EHLO ${name}`))).toBe(expected);
    if (expected !== '250') return;
    await client.ask(RIGHT);
    const before = relay.mx.count();
    await send(client, { text: TEXT });
    const [message] = (await relay.mx.received(before + 1)).slice(-1);
    expect(message!.data.toString().split('\r\n\r\n')[0]).not.toMatch(/evil|10\.0\.0\.1|127\.0\.0\.1/);
  },
);

attacks(
  'P12',
  'wrong sizes',
  '501 for an invalid size, 552 5.3.4 at MAIL and at the real size',
  [
    ['-1', 'SIZE=-1', '501 5.5.4'],
    ['1e9', 'SIZE=1e9', '501 5.5.4'],
    ['nothing', 'SIZE=', '501 5.5.4'],
    ['20 digits', `SIZE=${'9'.repeat(20)}`, '552 5.3.4'],
    ['100 digits', `SIZE=${'9'.repeat(100)}`, '501 5.5.4'],
    ['one too many', `SIZE=${SIZE + 1}`, '552 5.3.4'],
  ],
  async (_, parameter, expected) => {
    const client = await relay.loggedIn();
    expect(codeOf(await client.ask(`${MAIL} ${parameter}`))).toBe(expected);
    expect(codeOf(await client.ask(RCPT))).toBe('503 5.5.1');
  },
);

attack('P12', 'SIZE=10, then 5 MB', '552 5.3.4 after the last dot', async () => {
  await relay.lettingNothingIn(async () => {
    const client = await relay.loggedIn();
    expect(await client.askAll([`${MAIL} SIZE=10`, RCPT, 'DATA'])).toEqual(['250 2.1.0', '250 2.1.5', '354']);
    client.send(`From: ${USER}\r\n\r\n${`${'x'.repeat(998)}\r\n`.repeat(5000)}`);
    expect(codeOf(await client.ask('.'))).toBe('552 5.3.4');
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  });
});

attacks(
  'P13',
  'parameters',
  '555 5.5.4 for the unknown, 501 5.5.4 for bad ones',
  [
    ['FOO=BAR', `${MAIL} FOO=BAR`, '555 5.5.4'],
    ['BODY=BINARYMIME', `${MAIL} BODY=BINARYMIME`, '555 5.5.4'],
    ['BODY=X', `${MAIL} BODY=X`, '501 5.5.4'],
    ['SIZE twice', `${MAIL} SIZE=1 SIZE=2`, '501 5.5.4'],
    ['RET=X', `${MAIL} RET=X`, '501 5.5.4'],
    ['SMTPUTF8=1', `${MAIL} SMTPUTF8=1`, '501 5.5.4'],
    ['__proto__', `${MAIL} __proto__=1`, '501 5.5.4'],
    ['constructor', `${MAIL} constructor=1`, '555 5.5.4'],
    ['NOTIFY=NEVER,SUCCESS', `${RCPT} NOTIFY=NEVER,SUCCESS`, '501 5.5.4'],
    ['NOTIFY twice', `${RCPT} NOTIFY=NEVER NOTIFY=NEVER`, '501 5.5.4'],
    ['SIZE at RCPT', `${RCPT} SIZE=1`, '555 5.5.4'],
    ['no blank before it', `MAIL FROM:<${USER}>SIZE=1`, '501 5.5.4'],
  ],
  async (_, line, expected) => {
    const client = await relay.loggedIn();
    if (line.startsWith('RCPT')) await client.ask(MAIL);
    expect(codeOf(await client.ask(line))).toBe(expected);
  },
);

/** One parse for policy, DNS and wire: what is delivered stands in the last column. */
attacks(
  'P14',
  'address forms',
  'refused, or delivered to the address of our one parser',
  [
    ['an IPv4 literal', 'u@[127.0.0.1]', '550 5.1.2'],
    ['an IPv6 literal', 'u@[IPv6:::1]', '550 5.1.2'],
    ['an address without brackets', 'u@127.0.0.1', '550 5.1.2'],
    ['a number', 'u@2130706433', '550 5.1.2'],
    ['a hexadecimal number', 'u@0x7f.1', '553 5.1.3'],
    ['localhost', 'u@localhost', '550 5.1.2'],
    ['a hyphen first', 'u@-d.test', '553 5.1.3'],
    ['a port', 'u@d.test:2525', '553 5.1.3'],
    ['two dots', 'u@d..test', '553 5.1.3'],
    ['a dot at the end', 'u@d8.test.', 'u@d8.test'],
    ['an underscore', 'u@d_e.test', 'u@d_e.test'],
    ['a comment', 'u@good(x)evil.test', '553 5.1.3'],
    ['a blank in quotes', '"a b"@d1.test', '"a b"@d1.test'],
    ['an address in quotes', '"a@evil.test x"@d2.test', '"a@evil.test x"@d2.test'],
    ['a quote within', 'a"b"@d.test', '553 5.1.3'],
    ['a bracket in quotes', '"a>b"@d3.test', '"a>b"@d3.test'],
    ['two dots in the local part', 'a..b@d9.test', '"a..b"@d9.test'],
    ['upper case', 'Anna@D4.TEST', 'Anna@d4.test'],
    ['IDN without SMTPUTF8', 'u@bücher.test', '553 5.6.7'],
    ['an A-label', 'u@xn--bcher-kva.test', 'u@xn--bcher-kva.test'],
    ['two addresses', 'a@d.test,b@d.test', '553 5.1.3'],
    ['a brace expansion', '{a,b}@d.test', '553 5.1.3'],
  ],
  async (_, address, expected) => {
    const client = await relay.loggedIn();
    await client.ask(MAIL);
    await refusedOrDelivered(client, address, expected);
  },
);

attacks(
  'P14',
  'address forms with SMTPUTF8',
  'refused, or delivered to the address of our one parser',
  [
    ['IDN', 'u@bücher.test', 'u@xn--bcher-kva.test'],
    ['ideographic dots', 'u@d5。test', 'u@d5.test'],
    ['full-width letters', 'u@ｄ６.test', 'u@d6.test'],
    ['full-width digits that make an address', 'u@１２７.0.0.1', '553 5.1.3'],
    ['a full-width at sign', 'u＠evil.test@d7.test', 'u＠evil.test@d7.test'],
    ['a zero-width space', 'u\u200b@d.test', '553 5.1.3'],
    ['a right-to-left override', 'u\u202e@d.test', '553 5.1.3'],
    ['a next line', 'u\u0085@d.test', '553 5.1.3'],
    ['a line separator', 'u\u2028@d.test', '553 5.1.3'],
    ['a full-width slash', 'u@d／e.test', '553 5.1.3'],
  ],
  async (_, address, expected) => {
    const client = await relay.loggedIn();
    await client.ask(`${MAIL} SMTPUTF8`);
    await refusedOrDelivered(client, address, expected);
  },
);

async function refusedOrDelivered(client: RawClient, address: string, expected: string): Promise<void> {
  const reply = codeOf(await client.ask(`RCPT TO:<${address}>`));
  if (/^\d{3} /.test(expected)) {
    expect(reply).toMatch(expected.startsWith('550 5.1.2') ? /^550 5\.1\.2|^553 5\.1\.3/ : new RegExp(`^${expected}`));
    return;
  }
  expect(reply).toBe('250 2.1.5');
  await client.ask('DATA');
  const before = relay.mx.count();
  client.send(TEXT);
  expect(codeOf(await client.ask('.'))).toBe('250 2.0.0');
  const [message] = (await relay.mx.received(before + 1)).slice(-1);
  expect(message!.recipients.map(({ address: at }) => at)).toEqual([expected]);
}

attack('P15', '10 000 NOOP, and a storm of RSET', '421 4.7.0 after a hundred without a message', async () => {
  for (const verb of ['NOOP', 'RSET', 'VRFY x', 'EHLO x']) {
    const client = await relay.loggedIn();
    client.send(`${verb}\r\n`.repeat(10_000));
    let replies = 0;
    while (codeOf(await client.reply()) !== '421 4.7.0') replies++;
    await client.closed();
    expect(replies).toBeLessThanOrEqual(100);
    expect(client.unread).toBe('');
  }
});

attack('P15', 'a whole session in one segment', 'answered in order', async () => {
  const client = await relay.loggedIn();
  client.send(`${MAIL}\r\n${RCPT}\r\nRCPT TO:<nobody>\r\nDATA\r\n${TEXT}.\r\n${MAIL}\r\nRSET\r\nQUIT\r\n`);
  const codes: string[] = [];
  for (let i = 0; i < 8; i++) codes.push(codeOf(await client.reply()));
  expect(codes).toEqual(['250 2.1.0', '250 2.1.5', '550 5.1.1', '354', '250 2.0.0', '250 2.1.0', '250 2.0.0', '221 2.0.0']);
  await client.closed();
});

attack('P15', 'text pipelined after a refused DATA', 'its lines are read as commands, and none of them sends mail', async () => {
  await relay.lettingNothingIn(async () => {
    const client = await relay.loggedIn();
    client.send(`MAIL FROM:<b@other.test>\r\n${RCPT}\r\nDATA\r\nFrom: ${USER}\r\n.\r\nNOOP\r\n`);
    const codes: string[] = [];
    for (let i = 0; i < 6; i++) codes.push(codeOf(await client.reply()));
    expect(codes).toEqual(['553 5.7.1', '503 5.5.1', '503 5.5.1', '502 5.5.1', '502 5.5.1', '250 2.0.0']);
  });
});

attack('P15', 'bytes before the greeting', '421 4.7.0', async () => {
  const clear = relay.raw('submission');
  clear.send('EHLO client.test\r\n');
  expect(codeOf(await clear.reply())).toBe('421 4.7.0');
  const inner = relay.raw('submissions');
  await inner.upgrade();
  inner.send('EHLO client.test\r\n'); // at once after the handshake: early or not, it is answered once
  expect(codeOf(await inner.reply())).toMatch(/^220|^421 4\.7\.0/);
});

attack(
  'P16',
  '1001 recipients, the same one 1000 times, 500 bad ones',
  '452 4.5.3; once; 421 4.7.0 after a hundred',
  async () => {
    const client = await relay.loggedIn();
    await client.ask(MAIL);
    client.send(Array.from({ length: 1002 }, (_, i) => `RCPT TO:<r${i}@dest.test>\r\n`).join(''));
    const codes: string[] = [];
    for (let i = 0; i < 1002; i++) codes.push(codeOf(await client.reply()));
    expect(codes).toEqual([...Array(1000).fill('250 2.1.5'), '452 4.5.3', '452 4.5.3']);
    expect(codeOf(await client.ask('RSET'))).toBe('250 2.0.0');
    await client.ask(MAIL);
    client.send(`${RCPT}\r\n`.repeat(1000));
    for (let i = 0; i < 1000; i++) expect(codeOf(await client.reply())).toBe('250 2.1.5');
    await client.ask('DATA');
    const before = relay.mx.count();
    client.send(TEXT);
    const id = (await client.ask('.')).split(' ').at(-1);
    await relay.logged('relayed', (line) => line['queueId'] === id);
    expect(relay.mx.count()).toBe(before + 1);
    expect(relay.mx.messages.at(-1)!.recipients).toHaveLength(1);
    const bad = await relay.loggedIn();
    await bad.ask(MAIL);
    bad.send('RCPT TO:<nobody>\r\n'.repeat(500));
    let refused = 0;
    while (codeOf(await bad.reply()) === '550 5.1.1') refused++;
    expect(bad.transcript.at(-1)).toMatch(/^421 4\.7\.0/);
    expect(refused).toBe(100);
  },
);

attack('P19', 'prototype names as user, domain, recipient and header', 'plain text', async () => {
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    const stranger = await relay.tls();
    await stranger.ask('EHLO client.test');
    expect(codeOf(await stranger.ask(plain(name, PASSWORD)))).toBe('535 5.7.8');
    const client = await relay.loggedIn();
    expect(codeOf(await client.ask(`MAIL FROM:<a@${name}>`))).toMatch(/^501|^553/);
    const id = await send(client, {
      to: [`${name}@dest.test`, `a@${name.replace(/_/g, '')}.test`],
      text: `${name}: x\r\n${TEXT}`,
    });
    await relay.logged('relayed', (line) => line['queueId'] === id && line['recipient'] === `${name}@dest.test`);
    await relay.logged('relayed', (line) => line['queueId'] === id && line['recipient'].startsWith('a@'));
  }
  expect(({} as Record<string, unknown>)['x']).toBeUndefined();
});

attacks(
  'P20',
  'paths as names',
  'refused as an address, or plain text; no file appears',
  [
    ['the user', '', '../../x'],
    ['the domain', 'u@..%2f..%2fetc', ''],
    ['the local part', '../../../etc/passwd@dest.test', ''],
    ['a quoted one', '"../../x"@dest.test', ''],
  ],
  async (_, address, user) => {
    const client = user === '' ? await relay.loggedIn() : await relay.tls();
    if (user !== '') {
      await client.ask('EHLO client.test');
      expect(codeOf(await client.ask(plain(user, PASSWORD)))).toBe('535 5.7.8');
      return;
    }
    const text = `Message-ID: <../../../../tmp/x@sender.test>\r\n${TEXT}`;
    expect(await verdict(client, { to: [address], text })).toMatch(/^250 2\.0\.0$|^553 5\.1\.3$/);
  },
);

attack(
  'P21',
  'line breaks, escapes and secrets on their way into the log',
  'one JSON line an event, capped, without secrets, at level debug',
  async () => {
    const before = relay.log.length;
    for (const name of ['a\nb', 'a\x1b[2Jb', 'a\u2028b', 'x'.repeat(8000)]) {
      const client = await relay.tls();
      await client.ask('EHLO client.test');
      await client.ask(plain(name, 'geheim-4711'));
      await client.ask('AUTH LOGIN');
      await client.ask(base64(name));
      await client.ask(base64('geheim-4711'));
      client.close();
    }
    const clear = await relay.clear();
    await clear.ask('EHLO client.test');
    await clear.ask(`AUTH PLAIN ${base64('\0u\0geheim-4711')}`);
    const client = await relay.loggedIn();
    await client.ask(`EHLO ${'\u2028'.repeat(60)}`);
    await client.ask(`MAIL FROM:<"${'x'.repeat(3000)}"@sender.test>`);
    await client.ask(`RCPT TO:<${'\u2028'.repeat(1000)}@dest.test>`);
    await client.ask(`${'\x1b[31m'.repeat(100)}`);
    await submit(client, { text: `From: ${USER}\r\nSubject: geheim-4712\r\n\r\nWIZ\r\ngeheim-4713\r\n` });
    await quiet();
    const lines = relay.log.slice(before);
    const text = JSON.stringify(lines);
    for (const secret of [
      'geheim',
      base64('geheim-4711'),
      base64('\0u\0geheim-4711'),
      PASSWORD,
      base64(`\0${USER}\0${PASSWORD}`),
    ]) {
      expect(text).not.toContain(secret);
    }
    expect(text).not.toMatch(/PRIVATE KEY|[\x00-\x1f\x7f]/);
    for (const line of lines) expect(JSON.stringify(line).length).toBeLessThan(4000);
  },
);

attack('P22', 'BDAT', '502 5.5.1, not offered, and its bytes never become a message', async () => {
  await relay.lettingNothingIn(async () => {
    const client = await relay.loggedIn();
    expect(await client.ask('EHLO client.test')).not.toMatch(/CHUNKING|BINARYMIME|ETRN|X-|XCLIENT/);
    await client.askAll([MAIL, RCPT]);
    expect(codeOf(await client.ask('BDAT 5 LAST'))).toMatch(/^50[02] 5\.5\.1$/);
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  });
});

const STEPS = ['EHLO client.test', RIGHT, MAIL, RCPT, 'DATA'];
attack(
  'P23',
  'a close within a command, before DATA, within the text and after the dot',
  'nothing is queued unless the 250 was being sent',
  async () => {
    const stages = [
      'MAIL FR',
      `${MAIL}\r\n`,
      `${MAIL}\r\n${RCPT}\r\n`,
      `${MAIL}\r\n${RCPT}\r\nDATA\r\n`,
      `${MAIL}\r\n${RCPT}\r\nDATA\r\n${TEXT}`,
      `${MAIL}\r\n${RCPT}\r\nDATA\r\n${TEXT}.`,
      `${MAIL}\r\n${RCPT}\r\nDATA\r\n${TEXT}.\r`,
    ];
    await relay.lettingNothingIn(async () => {
      for (const bytes of stages) {
        for (const how of ['end', 'reset'] as const) {
          const client = relay.raw('submissions');
          const wire = client.socket;
          await client.upgrade();
          await client.reply();
          await client.askAll(STEPS.slice(0, 2));
          await new Promise((resolve) => client.socket.write(bytes, resolve));
          if (how === 'end') wire.destroySoon();
          else wire.resetAndDestroy();
          await client.closed();
        }
      }
    });
    // After the whole dot the client may miss the 250: then its retry is the one duplicate, with the same Message-ID.
    const id = `<once-${Date.now()}@sender.test>`;
    const text = `Message-ID: ${id}\r\n${TEXT}`;
    const cut = await relay.loggedIn();
    cut.send(`${MAIL}\r\n${RCPT}\r\nDATA\r\n${text}.\r\n`);
    await new Promise((resolve) => cut.socket.write('', resolve));
    cut.close();
    await send(await relay.loggedIn(), { text });
    await relay.nothingIsLost();
    const copies = relay.mx.messages.filter(({ data }) => data.includes(id)).length;
    expect([1, 2]).toContain(copies);
    expect(relay.accepted().filter((line) => line['messageId'] === id)).toHaveLength(copies);
  },
);

attack('P15', 'a good client after all these attacks', '250, and its mail arrives', () => relay.stillWorks());
