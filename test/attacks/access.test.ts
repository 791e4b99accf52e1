/** Which clients can use the relay, and which cannot: rows A01 to A16. Brute force is in guessing.test.ts. */
import { connect } from 'node:net';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import {
  type Attacked,
  base64,
  codeOf,
  PASSWORD,
  plain,
  RIGHT,
  send,
  startAttacked,
  TEXT,
  UNCOUNTED,
  USER,
  verdict,
} from '../support/attack-rig.ts';
import { attack, attacks, elsewhere } from './attack.ts';

let relay: Attacked;
beforeAll(async () => {
  const listen =
    "{ submissions: ['127.0.0.1:0'], submission: ['127.0.0.1:0'], admin: ['127.0.0.1:0'], console: [], http: ['127.0.0.1:0'] }";
  const acme = '{ directory: "https://127.0.0.1:1/", acceptTerms: true }'; // no server answers: the test only needs the challenges
  relay = await startAttacked({
    yaml: `${UNCOUNTED}\nlisten: ${listen}\ntls: { mode: acme, acme: ${acme} }\nlog: { level: debug }`,
  });
});
afterEach(() => relay?.hangUp());
afterAll(async () => {
  await relay?.nothingIsLost();
  await relay?.close();
});

attacks('A01', 'mail without AUTH', '530 5.7.0 to MAIL, RCPT and DATA', [['465'], ['587'], ['587 in clear']], async (port) => {
  await relay.lettingNothingIn(async () => {
    const client = port === '465' ? await relay.tls() : await relay.clear();
    await client.ask('EHLO client.test');
    if (port === '587') {
      await client.startTls();
      await client.ask('EHLO client.test');
    }
    expect(await client.askAll([`MAIL FROM:<${USER}>`, 'RCPT TO:<anna@dest.test>', 'DATA'])).toEqual(Array(3).fill('530 5.7.0'));
    client.send(`MAIL FROM:<${USER}>\r\nRCPT TO:<anna@dest.test>\r\nDATA\r\n${TEXT}.\r\n`);
    for (let i = 0; i < 3; i++) expect(codeOf(await client.reply())).toBe('530 5.7.0');
    await client.closed(); // the text was read as commands, and they were too many
    expect(client.transcript.at(-1)).toMatch(/^530|^50|^421 4\.7\.0/);
  });
});

attack('A02', 'AUTH before TLS', '538 5.7.11, not offered, not checked, not logged', async () => {
  const before = relay.log.length;
  const client = await relay.clear();
  expect(await client.ask('EHLO client.test')).not.toContain('AUTH');
  expect(await client.askAll([RIGHT, 'AUTH LOGIN', `AUTH LOGIN ${base64(USER)}`, 'auth plain'])).toEqual(
    Array(4).fill('538 5.7.11'),
  );
  await client.ask('QUIT');
  const lines = relay.log.slice(before);
  expect(lines.filter(({ event }) => event === 'authenticated' || event === 'authFailed')).toEqual([]);
  expect(JSON.stringify(lines)).not.toContain(RIGHT.split(' ').at(-1));
});

attack('A05', 'user enumeration by text, VRFY, EXPN and RCPT', 'the same for known and unknown users', async () => {
  const client = await relay.tls();
  await client.ask('EHLO client.test');
  const known = await client.ask(plain(USER, 'wrong'));
  const unknown = await client.ask(plain('nobody@sender.test', 'wrong'));
  expect(codeOf(known)).toBe('535 5.7.8');
  expect(unknown).toBe(known);
  for (const verb of ['VRFY', 'EXPN']) {
    const [one, other] = [await client.ask(`${verb} ${USER}`), await client.ask(`${verb} nobody@sender.test`)];
    expect(one).toMatch(/^252|^502/);
    expect(other).toBe(one);
  }
  const sender = await relay.loggedIn();
  await sender.ask(`MAIL FROM:<${USER}>`);
  expect(await sender.askAll([`RCPT TO:<${USER}>`, 'RCPT TO:<nobody@sender.test>'])).toEqual(['250 2.1.5', '250 2.1.5']);
  await sender.ask('RSET');
});

attacks(
  'A07',
  'authzid other than authcid',
  '535 5.7.8',
  [
    ['root for the user', `root\0${USER}\0${PASSWORD}`],
    ['the user for root', `${USER}\0root\0${PASSWORD}`],
    ['the user in other letters', `${USER.toUpperCase()}\0${USER}\0${PASSWORD}`],
  ],
  async (_, response) => {
    const client = await relay.tls();
    await client.ask('EHLO client.test');
    expect(codeOf(await client.ask(`AUTH PLAIN ${base64(response)}`))).toBe('535 5.7.8');
    expect(codeOf(await client.ask(`MAIL FROM:<${USER}>`))).toBe('530 5.7.0');
    expect(codeOf(await client.ask(`AUTH PLAIN ${base64(`${USER}\0${USER}\0${PASSWORD}`)}`))).toBe('235 2.7.0');
  },
);

const VALID = base64(`\0${USER}\0${PASSWORD}`);
attacks(
  'A08',
  'broken base64',
  '501 5.5.2',
  [
    ['junk around it', `AUTH PLAIN !!!${VALID}@@`],
    ['junk within', `AUTH PLAIN ${VALID.slice(0, 8)}*${VALID.slice(8)}`],
    ['padding missing', `AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}1`).replace(/=+$/, '')}`],
    ['two NUL fields', `AUTH PLAIN ${base64(`${USER}\0${PASSWORD}`)}`],
    ['four NUL fields', `AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}\0`)}`],
    ['five NUL fields', `AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}\0\0`)}`],
    ['more words', `AUTH PLAIN ${VALID} ${VALID}`],
  ],
  async (_, line) => {
    const client = await relay.tls();
    await client.ask('EHLO client.test');
    expect(codeOf(await client.ask(line))).toBe('501 5.5.2');
    expect(codeOf(await client.ask(`MAIL FROM:<${USER}>`))).toBe('530 5.7.0');
    expect(codeOf(await client.ask(RIGHT))).toBe('235 2.7.0');
  },
);

attack('A09', 'AUTH out of order', '503 at a wrong place, 501 for *, clean state after each', async () => {
  const client = await relay.tls();
  await client.ask('EHLO client.test');
  expect(await client.askAll(['AUTH PLAIN', '*'])).toEqual(['334', '501 5.7.0']);
  expect(await client.askAll(['AUTH LOGIN', base64(USER), '*'])).toEqual(['334', '334', '501 5.7.0']);
  expect(codeOf(await client.ask('AUTH CRAM-MD5'))).toBe('504 5.5.4');
  expect(await client.askAll(['AUTH LOGIN', base64(USER), base64('wrong')])).toEqual(['334', '334', '535 5.7.8']);
  expect(codeOf(await client.ask(`MAIL FROM:<${USER}>`))).toBe('530 5.7.0');
  expect(await client.askAll(['AUTH LOGIN', base64(USER), base64(PASSWORD)])).toEqual(['334', '334', '235 2.7.0']);
  expect(codeOf(await client.ask(RIGHT))).toBe('503 5.5.1');
  expect(codeOf(await client.ask(`MAIL FROM:<${USER}>`))).toBe('250 2.1.0');
  expect(codeOf(await client.ask(RIGHT))).toBe('503 5.5.1');
  expect(codeOf(await client.ask('RCPT TO:<anna@dest.test>'))).toBe('250 2.1.5');
});

attacks(
  'A10',
  'user A sends as B in the envelope',
  '553 5.7.1 at MAIL',
  [
    ['another domain', 'b@other.test'],
    ['a subdomain', 'b@sub.sender.test'],
    ['a look-alike', 'b@sender.test.evil.test'],
  ],
  async (_, from) => {
    const client = await relay.loggedIn();
    expect(codeOf(await client.ask(`MAIL FROM:<${from}>`))).toBe('553 5.7.1');
  },
);

attacks(
  'A10',
  'user A sends as B in the header',
  '550 5.7.1, or 5.6.0 if the header is invalid',
  [
    ['From', 'From: b@other.test\r\n', '550 5.7.1'],
    ['From with a name that is an address', `From: "${USER}" <b@other.test>\r\n`, '550 5.7.1'],
    ['From with a comment', `From: b@other.test (${USER})\r\n`, '550 5.7.1'],
    ['one of two From addresses', `From: ${USER}, b@other.test\r\nSender: ${USER}\r\n`, '550 5.7.1'],
    ['Sender of several', `From: ${USER}, c@sender.test\r\nSender: b@other.test\r\n`, '550 5.7.1'],
    ['two From fields', `From: ${USER}\r\nFrom: b@other.test\r\n`, '550 5.6.0'],
    ['a group', `From: friends: ${USER}, b@other.test;\r\nSender: ${USER}\r\n`, '550 5.6.0'],
    ['an empty group', 'From: nobody:;\r\n', '550 5.6.0'],
    ['two brackets', `From: <${USER}> <b@other.test>\r\n`, '550 5.6.0'],
    ['folded', 'From:\r\n b@other.test\r\n', '550 5.7.1'],
    ['two at signs', `From: "${USER} x"@other.test\r\n`, '550 5.6.0'],
  ],
  async (_, header, expected) => {
    await relay.lettingNothingIn(async () => {
      const client = await relay.loggedIn();
      expect(await verdict(client, { text: `${header}Subject: x\r\n\r\nx\r\n` })).toBe(expected);
      expect(await verdict(client, { from: '', text: `${header}Subject: x\r\n\r\nx\r\n` })).toBe(expected);
    });
  },
);

attack('A10', 'MAIL with AUTH=<b@x>', 'accepted and ignored: RFC 4954 §5', async () => {
  const client = await relay.loggedIn();
  const before = relay.mx.count();
  expect(codeOf(await client.ask(`MAIL FROM:<${USER}> AUTH=<b@other.test>`))).toBe('250 2.1.0');
  await client.ask('RCPT TO:<anna@dest.test>');
  await client.ask('DATA');
  client.send(TEXT);
  expect(codeOf(await client.ask('.'))).toBe('250 2.0.0');
  const received = await relay.mx.received(before + 1);
  expect(received.at(-1)!.mailParameters.join()).not.toContain('AUTH');
  expect(received.at(-1)!.data.toString()).not.toContain('b@other.test');
});

/** With the relay's own name, and with the destination's: neither changes the meaning. */
const RELAY_FORMS: readonly (readonly [string, string, string])[] = [
  ['a percent sign', '<u%other.test@dest.test>', 'u%other.test@dest.test'],
  ['a quoted local part', '<"u@other.test"@dest.test>', '"u@other.test"@dest.test'],
  ['a source route', '<@relay.test,@other.test:u@dest.test>', 'u@dest.test'],
  ['a bang path', '<other.test!u@dest.test>', 'other.test!u@dest.test'],
  ['a bang path without a domain', '<other.test!u>', '550 5.1.1'],
  ['two at signs', '<u@other.test@dest.test>', '553 5.1.3'],
  ['a quoted percent sign without a domain', '<"u%other.test">', '550 5.1.1'],
  ['nobody', '<>', '553 5.1.3'],
  ['our own name', '<u%dest.test@[127.0.0.1]>', '550 5.1.2'],
  ['localhost', '<u@localhost>', '550 5.1.2'],
];

attacks('A11', 'open relay forms without AUTH', '530 5.7.0, always', RELAY_FORMS, async (_, path) => {
  await relay.lettingNothingIn(async () => {
    const client = await relay.tls();
    await client.ask('EHLO client.test');
    const lines = ['MAIL FROM:<>', 'MAIL FROM:<x@localhost>', 'MAIL FROM:<x@[127.0.0.1]>', `RCPT TO:${path}`];
    expect(await client.askAll(lines)).toEqual(Array(4).fill('530 5.7.0'));
  });
});

attacks(
  'A11',
  'open relay forms with AUTH',
  'never reinterpreted: delivered unchanged, or refused',
  RELAY_FORMS,
  async (_, path, expected) => {
    const client = await relay.loggedIn();
    await client.ask(`MAIL FROM:<${USER}>`);
    const reply = await client.ask(`RCPT TO:${path}`);
    if (/^\d/.test(expected)) {
      expect(codeOf(reply)).toBe(expected);
      return;
    }
    expect(codeOf(reply)).toBe('250 2.1.5');
    await client.ask('DATA');
    client.send(TEXT);
    const id = (await client.ask('.')).split(' ').at(-1);
    const relayed = await relay.logged('relayed', (line) => line['queueId'] === id);
    expect(relayed).toMatchObject({ recipient: expected, mx: 'mx.dest.test' });
    expect(relay.mx.messages.at(-1)!.recipients.map(({ address }) => address)).toEqual([expected]);
  },
);

attacks(
  'A11',
  'senders that lead nowhere',
  '501 or 553 at MAIL',
  [['localhost'], ['[127.0.0.1]'], ['sender.test@other.test'], ['other.test%sender.test']],
  async (domain) => {
    const client = await relay.loggedIn();
    expect(codeOf(await client.ask(`MAIL FROM:<u@${domain}>`))).toMatch(/^501 5\.1\.7$|^553 5\.(1\.7|7\.1)$/);
  },
);

attacks(
  'A13',
  'XCLIENT, XFORWARD and PROXY from strangers',
  '500 or 502, or 421; the address stays',
  [
    ['XCLIENT', 'XCLIENT ADDR=10.0.0.1 LOGIN=root'],
    ['XFORWARD', 'XFORWARD ADDR=10.0.0.1'],
    ['PROXY', 'PROXY TCP4 10.0.0.1 10.0.0.2 1 2'],
  ],
  async (_, line) => {
    const before = relay.log.length;
    for (const client of [await relay.loggedIn(), await relay.clear()]) {
      expect(client.transcript.at(-1)).toMatch(/^2/);
      expect(codeOf(await client.ask(line))).toMatch(/^50[02] /);
      expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
    }
    const first = relay.raw('submission');
    first.send(`${line}\r\n`);
    expect(codeOf(await first.reply())).toBe('421 4.7.0');
    const addresses = new Set(relay.log.slice(before).flatMap(({ ip }) => ip ?? []));
    expect([...addresses]).toEqual(['127.0.0.1']);
  },
);

attack('A13', 'PROXY before TLS from strangers', 'no handshake', async () => {
  const v2 = Buffer.from('0d0a0d0a000d0a515549540a2111000c0a0000010a00000200010002', 'hex');
  for (const header of [Buffer.from('PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n'), v2]) {
    const client = relay.raw('submissions');
    client.send(header);
    await expect(client.upgrade()).rejects.toThrow();
  }
  await relay.stillWorks();
});

elsewhere('A14', 'each route of the API by each role, by sessions and tokens, and hostile input', 'test/unit/console');

/** One request as raw bytes; the whole answer. */
function http(bytes: string): Promise<string> {
  const port = relay.listening.find(({ name }) => name === 'http')!.port;
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes));
    socket.setTimeout(10_000, () => socket.destroy(new Error('no answer')));
    socket.on('data', (chunk) => {
      answer += chunk.toString('latin1');
    });
    socket.on('error', () => {}); // 'close' follows
    socket.on('close', () => resolve(answer));
  });
}

const CHALLENGE = '/.well-known/acme-challenge/';
attacks(
  'A15',
  'abuse of the ACME listener',
  '404 without a redirect or a file; 400 for data that are not HTTP',
  [
    ['dots', `${CHALLENGE}../../etc/passwd`],
    ['encoded dots', `${CHALLENGE}%2e%2e%2f%2e%2e%2fetc%2fpasswd`],
    ['an absolute path', `${CHALLENGE}/etc/passwd`],
    ['a null byte', `${CHALLENGE}a%00b`],
    ['a token of 1 MB', `${CHALLENGE}${'a'.repeat(1024 * 1024)}`],
    ['an unknown token', `${CHALLENGE}DGyRejmCefe7v4NfDGDKfA`],
    ['a prototype name', `${CHALLENGE}__proto__`],
    ['the root', '/'],
    ['another host as absolute URL', 'http://evil.test/'],
  ],
  async (_, target) => {
    const answer = await http(`GET ${target} HTTP/1.1\r\nHost: evil.test\r\n\r\n`);
    // A client that is still sending when the answer is sent may get a reset instead.
    expect(answer).toMatch(target.length < 10_000 ? /^HTTP\/1\.1 404 / : /^HTTP\/1\.1 404 |^$/);
    expect(answer).not.toMatch(/^location:/im);
    expect(answer).not.toMatch(/evil|root:/);
  },
);

attack('A15', 'other methods and no HTTP', '404 and 400', async () => {
  expect(await http(`POST ${CHALLENGE}x HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd`)).toMatch(/^HTTP\/1\.1 404 /);
  expect(await http('EHLO x\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  await relay.stillWorks();
});

attacks(
  'A16',
  'legacy verbs',
  '502 5.5.1',
  [
    ['WIZ x'],
    ['SHELL'],
    ['KILL'],
    ['DEBUG'],
    ['TURN'],
    ['ETRN dest.test'],
    ['ATRN'],
    ['HELP'],
    ['SEND FROM:<a@b.test>'],
    ['EXPN staff'],
  ],
  async (line) => {
    for (const client of [await relay.tls(), await relay.loggedIn()]) {
      expect(codeOf(await client.ask(line))).toMatch(/^50[02] 5\.5\.1$/);
      expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
    }
  },
);

attack('A01', 'a good client after all these attacks', '250, and its mail arrives', async () => {
  const client = await relay.loggedIn();
  const id = await send(client, { text: TEXT });
  await relay.logged('relayed', (line) => line['queueId'] === id);
});
