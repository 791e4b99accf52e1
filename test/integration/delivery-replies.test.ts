/** The replies of hosts at each stage, and the outcome of each recipient: behaviour rule 13. */
import { createServer } from 'node:net';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startRig, startScripted, verbs } from '../support/delivery-rig.ts';
import type { MxScript } from '../support/mx-server.ts';

const NO_PIPELINING = { extensions: ['SIZE', '8BITMIME', 'DSN'] };

describe.each([
  ['with PIPELINING', {}],
  ['without PIPELINING', NO_PIPELINING],
])('%s', (_, host) => {
  test('each recipient of a transaction has its own outcome', async () => {
    const answers = [
      '250 2.1.5 Ok',
      '550 5.1.1 No such user',
      '450 4.2.1 Mailbox busy',
      '552 5.5.3 Too many',
      '251 2.1.5 Forwarded',
    ];
    const rig = await startScripted({ RCPT: ({ index }) => answers[index] }, { host });
    const outcomes = await rig.relay.send(['a@good.test', 'b@good.test', 'c@good.test', 'd@good.test', 'e@good.test']);
    expect(outcomes.map(({ kind, reply }) => `${kind} ${reply.code} ${reply.status}`)).toEqual([
      'relayed 250 2.0.0',
      'failed 550 5.1.1',
      'delayed 450 4.2.1',
      'relayed 250 2.0.0',
      'relayed 250 2.0.0',
    ]);
    expect(outcomes[1]!.judged).toMatchObject({ class: 'no-such-user', action: 'fail+suppress', phase: 'rcpt' });
    expect(outcomes[0]).not.toHaveProperty('judged');
    expect(rig.mx.messages[0]!.recipients.map(({ address }) => address)).toEqual(['a@good.test', 'e@good.test']);
  });

  test.each([
    ['MAIL', '550 5.7.1 Not you', 'failed', '5.7.1'],
    ['MAIL', '451 4.3.0 Later', 'delayed', '4.3.0'],
    ['DATA', '554 5.5.1 No', 'failed', '5.5.1'],
    ['DATA', '451 4.3.0 Later', 'delayed', '4.3.0'],
    ['DATA', '250 2.0.0 What?', 'delayed', '4.5.0'],
    ['message', '550 5.7.1 Spam', 'failed', '5.7.1'],
    ['message', '451 4.7.1 Greylisted', 'delayed', '4.7.1'],
    ['message', '250', 'relayed', '2.0.0'],
    ['message', '250-2.0.0 first\r\n250 2.0.0 last', 'relayed', '2.0.0'],
    ['RCPT', '450 4.2.0 Greylisted', 'delayed', '4.2.0'],
    ['RCPT', '550 5.1.1 Unknown', 'failed', '5.1.1'],
  ] as const)(
    '%s answered with %j is %s %s for every recipient, and the next message is not hurt',
    async (stage, reply, kind, status) => {
      let refuse = true;
      const script: MxScript = { [stage]: () => (refuse ? reply : undefined) };
      const { relay, mx } = await startScripted(script, { host });
      for (const outcome of await relay.send(['a@good.test', 'b@good.test'])) {
        expect(outcome).toMatchObject({ kind, reply: { status }, mx: 'mx0.good.test', ip: '127.0.3.1' });
      }
      refuse = false;
      if (relay.blockedUntil('good.test') !== undefined) return;
      const before = mx.count();
      expect(await relay.send('c@good.test')).toMatchObject([{ kind: 'relayed' }]);
      expect(mx.count()).toBe(before + 1);
    },
  );

  test('a session whose envelope was refused is reset and used again', async () => {
    const rig = await startScripted(
      { RCPT: ({ address }) => (address === 'no@good.test' ? '550 5.1.1 No' : undefined) },
      { host },
    );
    await rig.relay.send('no@good.test');
    await rig.relay.send('yes@good.test');
    expect(rig.mx.sessions()).toBe(1);
    expect(verbs(rig).filter((verb) => verb === 'RSET')).toHaveLength(1);
  });
});

test('with PIPELINING the whole envelope and DATA are one write, and the content is another', async () => {
  const chunks: string[] = [];
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.write('220 x\r\n');
    socket.on('data', (chunk) => {
      const text = chunk.toString();
      chunks.push(text);
      if (text.startsWith('EHLO')) socket.write('250-x\r\n250 PIPELINING\r\n');
      else if (text.startsWith('MAIL')) socket.write('250 ok\r\n250 ok\r\n250 ok\r\n354 go on\r\n');
      else socket.write('250 ok\r\n');
    });
  });
  await new Promise<void>((done) => server.listen(0, '127.0.3.8', done));
  onTestFinished(() => void server.close());
  const { port } = server.address() as { port: number };
  const { relay } = await startRig({ zone: { 'd.test': { A: ['127.0.3.8'] } }, delivery: { port } });
  expect(await relay.send(['a@d.test', 'b@d.test'], { text: 'x: y\r\n\r\n.z\r\n' })).toMatchObject([
    { kind: 'relayed' },
    { kind: 'relayed' },
  ]);
  expect(chunks).toEqual([
    'EHLO relay.example.net\r\n',
    'MAIL FROM:<alice@sender.test>\r\nRCPT TO:<a@d.test>\r\nRCPT TO:<b@d.test>\r\nDATA\r\n',
    'x: y\r\n\r\n..z\r\n.\r\n',
  ]);
});

test('a host that wants content though it took no recipient gets a lone dot: RFC 2920 §3.1', async () => {
  const { relay, mx } = await startScripted({ RCPT: '550 5.1.1 No', DATA: '354 go on', message: '554 5.5.1 No recipients' });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { status: '5.1.1' } }]);
  expect(mx.count()).toBe(0);
  mx.script({});
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(mx.messages[0]!.recipients).toHaveLength(1);
});

describe('after a host that takes no mail now, the next one is tried', () => {
  test.each<readonly [string, MxScript]>([
    ['421 as greeting', { greeting: '421 4.3.2 Busy' }],
    ['554 as greeting', { greeting: '554 5.7.1 Not you' }],
    ['450 as greeting', { greeting: '450 4.3.2 Busy' }],
    ['a close instead of a greeting', { greeting: 'close' }],
    ['garbage as greeting', { greeting: { raw: 'SSH-2.0-OpenSSH_9.2\r\n' } }],
    ['421 to EHLO', { EHLO: '421 4.3.2 Busy' }],
    ['5yz to EHLO and HELO', { EHLO: '502 5.5.1 What?', HELO: '502 5.5.1 What?' }],
    ['421 to MAIL', { MAIL: '421 4.7.0 Later' }],
    ['421 to RCPT', { RCPT: '421 4.7.0 Later' }],
    ['421 to DATA', { DATA: '421 4.7.0 Later' }],
    ['421 to the final dot', { message: '421 4.7.0 Later' }],
    ['a close at MAIL', { MAIL: 'close' }],
    ['a close at RCPT', { RCPT: 'close' }],
    ['a close at DATA', { DATA: 'close' }],
    ['mixed codes in one reply', { MAIL: { raw: '250-ok\r\n550 no\r\n' } }],
    ['a code that is none', { RCPT: '999 what' }],
    ['half a code', { DATA: '25' }],
    ['a reply of a million lines', { EHLO: { raw: '250-more\r\n'.repeat(100_000) } }],
    ['a line without end', { MAIL: { raw: 'x'.repeat(2 * 1024 * 1024) } }],
  ])('%s', async (_, script) => {
    const { relay, hosts } = await startScripted(script, { hosts: [{}] });
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'relayed', mx: 'mx1.good.test' }]);
    expect(hosts.map((host) => host.count())).toEqual([0, 1]);
  });
});

test('a close after 354 is uncertain if the final dot may have been sent, and never counts as success', async () => {
  const { relay, hosts } = await startScripted({ DATA: { reply: '354 go on', thenClose: true } }, { hosts: [{}] });
  const [outcome] = await relay.send('a@good.test');
  // The close may be seen before the content is written: then the next host gets it.
  expect([`uncertain 0`, `relayed 1`]).toContain(`${outcome!.kind} ${hosts[1]!.count()}`);
});

test('if all hosts refuse the session, the mail is delayed with the reply of the last one', async () => {
  const { relay } = await startRig({
    hosts: [{ script: { greeting: '554 5.7.1 First' } }, { script: { greeting: '554 5.7.1 Second' } }],
  });
  expect(await relay.send('a@good.test')).toMatchObject([
    { kind: 'delayed', reply: { code: 554, status: '4.7.1', text: 'Second' }, mx: 'mx1.good.test' },
  ]);
});

test('a reply whose lines have several codes of one class counts as that class, and rests no host', async () => {
  const { relay, mx } = await startScripted({ RCPT: { raw: '550-no such\r\n553 user\r\n' } });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { code: 553, text: 'no such\nuser' } }]);
  mx.script({ RCPT: { raw: '451-later\r\n452 please\r\n' } });
  expect(await relay.send('b@good.test')).toMatchObject([{ kind: 'delayed', reply: { code: 452 } }]);
  expect(relay.resting()).toBe(0);
});

test('two sessions are enough for one attempt', async () => {
  const { relay, hosts } = await startRig({ hosts: [1, 2, 3, 4].map(() => ({ script: { MAIL: '421 4.3.2 Busy' } })) });
  expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed' }]);
  expect(hosts.map((host) => host.sessions())).toEqual([1, 1, 0, 0]);
});

test('settled recipients are not sent to the next host', async () => {
  const first: MxScript = { RCPT: ({ index }) => ['550 5.1.1 No', '250 2.1.5 Ok', '421 4.3.2 Busy'][index] };
  const { relay, hosts } = await startScripted(first, { hosts: [{}] });
  const outcomes = await relay.send(['a@good.test', 'b@good.test', 'c@good.test']);
  expect(outcomes.map(({ kind, mx }) => `${kind} ${mx}`)).toEqual([
    'failed mx0.good.test',
    'relayed mx1.good.test',
    'relayed mx1.good.test',
  ]);
  expect(hosts[1]!.messages[0]!.recipients.map(({ address }) => address)).toEqual(['b@good.test', 'c@good.test']);
});

test('a host without EHLO gets HELO and no parameters', async () => {
  const rig = await startScripted({ EHLO: '502 5.5.1 What?' });
  const message = { body: '8BITMIME', ret: 'FULL', envid: 'x', recipient: { notify: ['SUCCESS'] } } as const;
  expect(await rig.relay.send('a@good.test', message)).toMatchObject([{ kind: 'relayed', dsnPassedOn: false }]);
  expect(rig.mx.messages[0]).toMatchObject({ mailParameters: [], recipients: [{ parameters: [] }] });
  expect(verbs(rig)).toEqual(['EHLO', 'HELO', 'MAIL', 'RCPT', 'DATA']);
});

test('envelope parameters arrive, each recipient with its own', async () => {
  const { relay, mx } = await startRig();
  const message = {
    body: '8BITMIME',
    needsSmtpUtf8: true,
    ret: 'HDRS',
    envid: 'q+2B1',
    reversePath: '',
    recipient: { notify: ['NEVER'] },
  } as const;
  expect(await relay.send('a+b@good.test', message)).toMatchObject([{ kind: 'relayed', dsnPassedOn: true }]);
  expect(mx.messages[0]).toMatchObject({
    mailFrom: '',
    mailParameters: ['SIZE=24', 'BODY=8BITMIME', 'SMTPUTF8', 'RET=HDRS', 'ENVID=q+2B1'],
    recipients: [{ address: 'a+b@good.test', parameters: ['NOTIFY=NEVER', 'ORCPT=rfc822;a+2Bb@good.test'] }],
  });
});

test('mail that needs SMTPUTF8 fails where it is not offered, and 8-bit mail goes on unless told otherwise', async () => {
  const host = { extensions: ['PIPELINING'] };
  const { relay, mx } = await startRig({ hosts: [host] });
  expect(await relay.send(['ü@good.test', 'b@good.test'], { needsSmtpUtf8: true })).toMatchObject([
    { kind: 'failed', reply: { status: '5.6.7' } },
    { kind: 'failed', reply: { status: '5.6.7' } },
  ]);
  expect(mx.count()).toBe(0);
  expect(await relay.send('b@good.test', { body: '8BITMIME', text: 'Subject: ä\r\n\r\nö\r\n' })).toMatchObject([
    { kind: 'relayed' },
  ]);
  expect(mx.messages[0]).toMatchObject({ mailParameters: [] });
  expect(mx.messages[0]!.data.toString()).toBe('Subject: ä\r\n\r\nö\r\n');
  relay.reload({ eightBit: 'return' });
  expect(await relay.send('b@good.test', { body: '8BITMIME' })).toMatchObject([{ kind: 'failed', reply: { status: '5.6.3' } }]);
});

test('a host that refuses the content gets QUIT, and the next message uses a new connection', async () => {
  const rig = await startScripted({ message: ({ session }) => (session === 1 ? '550 5.7.1 Spam' : undefined) });
  expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'failed' }]);
  expect(await rig.relay.send('b@good.test')).toMatchObject([{ kind: 'relayed' }]);
  expect(rig.mx.sessions()).toBe(2);
  expect(rig.mx.commands).toContain('1 QUIT');
});

test('a hostile reply is quoted, cut and harmless', async () => {
  const bomb = `550-5.7.1 <b>no</b>\x1b[2J\x00\r\n550-250 2.0.0 Ok\r\n550 5.7.1 ${'x'.repeat(10_000)}`;
  const { relay } = await startScripted({ RCPT: { raw: `${bomb}\r\n` } });
  const [outcome] = await relay.send('a@good.test');
  expect(outcome).toMatchObject({ kind: 'failed', reply: { code: 550, status: '5.7.1' } });
  expect(outcome!.reply.text).toMatch(/^<b>no<\/b> \[2J \n250 2.0.0 Ok\nx+…$/);
  expect(outcome!.reply.text.length).toBeLessThanOrEqual(2001);
});

test('an address with a control character is never sent', async () => {
  const { relay, mx } = await startRig();
  expect(await relay.send('a\r\nRSET\r\n@good.test')).toMatchObject([{ kind: 'failed', reply: { status: '5.1.3' } }]);
  expect(mx.commands.filter((line) => !line.endsWith('EHLO relay.example.net'))).toEqual([]);
});

test('more than 50 recipients are several transactions on one connection', async () => {
  const { relay, mx } = await startRig();
  const outcomes = await relay.send(Array.from({ length: 120 }, (_, i) => `u${i}@good.test`));
  expect(outcomes.every(({ kind }) => kind === 'relayed')).toBe(true);
  expect(mx.messages.map(({ recipients }) => recipients.length)).toEqual([50, 50, 20]);
  expect(mx.sessions()).toBe(1);
});

describe.each([
  ['with PIPELINING', {}],
  ['without PIPELINING', NO_PIPELINING],
])('%s,', (_, host) => {
  test.each(
    (['MAIL', 'RCPT', 'DATA'] as const).flatMap((stage) =>
      [500, 502, 503, 530, 534, 535, 538].map((code) => [stage, code] as const),
    ),
  )('a %s answered %i is about the session: the next host is asked, and nothing is returned', async (stage, code) => {
    const refuse: MxScript = { [stage]: `${code} 5.5.1 Not in this session` };
    const { relay, mx } = await startScripted(refuse, { host, hosts: [{ ...host, script: refuse }] });
    expect(await relay.send('a@good.test')).toMatchObject([{ kind: 'delayed', reply: { code }, mx: 'mx1.good.test' }]);
    expect(relay.events.filter(({ event }) => event === 'sessionRefused')).toHaveLength(2);
    mx.script({});
    expect(await relay.send('b@good.test'), 'others are not held up').toMatchObject([{ kind: 'relayed', mx: 'mx0.good.test' }]);
  });

  test.each([501, 504, 555])(
    'MAIL with parameters that is answered %i is said once more without, in the same session',
    async (code) => {
      const rig = await startScripted({ MAIL: ({ line }) => (line.endsWith('>') ? undefined : `${code} 5.5.4 What?`) }, { host });
      const message = { ret: 'FULL', envid: 'x', recipient: { notify: ['SUCCESS'] } } as const;
      expect(await rig.relay.send(['a@good.test', 'b@good.test'], message)).toMatchObject([
        { kind: 'relayed', dsnPassedOn: false },
        { kind: 'relayed', dsnPassedOn: false },
      ]);
      expect(rig.mx.sessions()).toBe(1);
      expect(rig.mx.messages[0]).toMatchObject({ mailParameters: [], recipients: [{ parameters: [] }, { parameters: [] }] });
    },
  );

  test('a MAIL that gets 501 without parameters too has failed', async () => {
    const rig = await startScripted({ MAIL: '501 5.1.7 Bad sender' }, { host });
    expect(await rig.relay.send('a@good.test')).toMatchObject([{ kind: 'failed', reply: { code: 501, status: '5.1.7' } }]);
    expect(verbs(rig).filter((verb) => verb === 'MAIL')).toHaveLength(2);
  });

  test('a RCPT with parameters that gets 555 is sent once more without them, and other recipients are not affected', async () => {
    const rig = await startScripted(
      { RCPT: ({ line }) => (line.endsWith('>') || line.includes('<a@') ? undefined : '555 5.5.4 What?') },
      { host },
    );
    const outcomes = await rig.relay.send(['a@good.test', 'b@good.test'], { recipient: { notify: ['FAILURE'] } });
    expect(outcomes).toMatchObject([
      { kind: 'relayed', dsnPassedOn: true },
      { kind: 'relayed', dsnPassedOn: false },
    ]);
    expect(rig.mx.sessions()).toBe(1);
  });

  test.each(['452 4.5.3 Too many recipients', '452 Too many', '552 5.5.3 Too many recipients'])(
    'a host that takes ten recipients at a time, and says %j, gets the others at once',
    async (full) => {
      const { relay, mx } = await startScripted({ RCPT: ({ index }) => (index >= 10 ? full : undefined) }, { host });
      const outcomes = await relay.send(Array.from({ length: 45 }, (_, i) => `u${i}@good.test`));
      expect(new Set(outcomes.map(({ kind }) => kind))).toEqual(new Set(['relayed']));
      expect(mx.messages.map(({ recipients }) => recipients.length)).toEqual([10, 10, 10, 10, 5]);
      expect(mx.sessions()).toBe(1);
    },
  );

  test('a host that takes no recipient now, and a full mailbox, are tried later', async () => {
    const rig = await startScripted(
      { RCPT: ({ address }) => (address === 'b@good.test' ? '452 4.2.2 Mailbox full' : undefined) },
      { host },
    );
    expect(await rig.relay.send(['a@good.test', 'b@good.test'])).toMatchObject([{ kind: 'relayed' }, { kind: 'delayed' }]);
    rig.mx.script({ RCPT: '452 4.5.3 Too many recipients' });
    expect(await rig.relay.send(['a@good.test', 'b@good.test'])).toMatchObject([{ kind: 'delayed' }, { kind: 'delayed' }]);
    expect(verbs(rig).filter((verb) => verb === 'MAIL')).toHaveLength(2);
  });
});

test('a recipient with an ASCII address gets the mail, whatever address another one has', async () => {
  const { relay, mx } = await startRig({ hosts: [{ extensions: ['PIPELINING'] }] });
  expect(await relay.send(['a@good.test', 'ü@good.test', 'b@good.test'])).toMatchObject([
    { kind: 'relayed' },
    { kind: 'failed', reply: { code: 550, status: '5.6.7' } },
    { kind: 'relayed' },
  ]);
  expect(mx.messages.map(({ recipients }) => recipients.map(({ address }) => address))).toEqual([['a@good.test', 'b@good.test']]);
});

test('a host without SMTPUTF8 does not end the mail: the next host takes it', async () => {
  const { relay, hosts } = await startRig({ hosts: [{ extensions: ['PIPELINING'] }, {}] });
  expect(await relay.send(['a@good.test', 'ü@good.test'])).toMatchObject([
    { kind: 'relayed', mx: 'mx0.good.test' },
    { kind: 'relayed', mx: 'mx1.good.test' },
  ]);
  expect(hosts[1]!.messages[0]!.mailParameters).toContain('SMTPUTF8');
});

test('a host that refuses EHLO and takes HELO may have SMTPUTF8 another time', async () => {
  const { relay } = await startScripted({ EHLO: '550 5.7.1 Not with that name' });
  expect(await relay.send('ü@good.test')).toMatchObject([{ kind: 'delayed', reply: { status: '4.6.7' } }]);
});

test('attempts that failed because of us do not end the patience with a host that says later', async () => {
  const rig = await startScripted({ message: () => '550 5.0.0 Internal server error, try again later' });
  const send = (recipient: { attempts: number; excused?: number }) => rig.relay.send('a@good.test', { recipient });
  expect(await send({ attempts: 3, excused: 3 })).toMatchObject([{ kind: 'delayed' }]);
  expect(await send({ attempts: 3, excused: 2 })).toMatchObject([{ kind: 'failed' }]);
});
