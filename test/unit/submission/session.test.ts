/** The conversation, seen from outside. */
import { connect as connectTls } from 'node:tls';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Refusal } from '../../../src/smtp/reply.ts';
import type { Credential } from '../../../src/store/store.ts';
import { codeOf, RawClient } from '../../support/raw-client.ts';
import { CREDENTIAL, PASSWORD, PLAIN, type Rig, type RigOptions, startRig, USER } from '../../support/submission-rig.ts';

let rig: Rig;
const start = async (options?: RigOptions) => {
  rig = await startRig(options);
  return rig;
};
afterEach(() => rig.close());

const base64 = (text: string) => Buffer.from(text).toString('base64');
const MAIL = 'MAIL FROM:<anna@sender.test>';
const RCPT = 'RCPT TO:<bob@example.org>';
const NOBODY = { current: () => undefined, renewed: async () => undefined };
const TEXT = 'From: anna@sender.test\r\n\r\nHello\r\n.\r\n';

describe('greeting and EHLO', () => {
  test('465 offers AUTH, 587 in clear offers STARTTLS instead', async () => {
    await start();
    const tls = await rig.tls();
    expect(tls.transcript[0]).toBe('220 relay.example.net ESMTP');
    expect((await tls.ask('EHLO client.test')).split('\n')).toEqual([
      '250-relay.example.net',
      '250-SIZE 52428800',
      '250-8BITMIME',
      '250-PIPELINING',
      '250-SMTPUTF8',
      '250-ENHANCEDSTATUSCODES',
      '250-DSN',
      '250-REQUIRETLS',
      '250 AUTH PLAIN LOGIN',
    ]);
    const clear = await rig.clear();
    const lines = (await clear.ask('EHLO client.test')).split('\n');
    expect(lines.at(-1)).toBe('250 STARTTLS');
    expect(lines.join()).not.toContain('AUTH');
  });

  test('any printable name is taken, none and 256 octets are not', async () => {
    await start();
    const client = await rig.tls();
    for (const name of ['localhost', '_', 'mantis.*', 'NPIF65E56', 'FE80::1', '[127.0.0.1]', 'my file.txt']) {
      expect(codeOf(await client.ask(`EHLO ${name}`))).toBe('250');
    }
    expect(codeOf(await client.ask('HELO x'))).toBe('250');
    expect(codeOf(await client.ask('EHLO'))).toBe('501 5.5.4');
    expect(codeOf(await client.ask(`EHLO ${'x'.repeat(256)}`))).toBe('501 5.5.4');
  });

  test('who speaks before the greeting is turned away, on both ports', async () => {
    await start();
    vi.useFakeTimers({ toFake: ['setTimeout', 'setImmediate'] }); // the moment before the greeting lasts as long as the bytes need
    onTestFinished(() => void vi.useRealTimers());
    const clear = RawClient.clear(rig.port('submission'));
    clear.send('GET / HTTP/1.1\r\n');
    expect(codeOf(await clear.reply())).toBe('421 4.7.0');
    await clear.closed();
    const hasty = connectTls({ port: rig.port('submissions'), host: '127.0.0.1', rejectUnauthorized: false });
    hasty.write('EHLO x\r\n'); // leaves with the end of the handshake, as the greeting does
    const turnedAway = new RawClient(hasty);
    expect(codeOf(await turnedAway.reply())).toBe('220');
    expect(codeOf(await turnedAway.reply())).toBe('421 4.7.0');
    vi.useRealTimers();
    const web = await rig.clear();
    expect(codeOf(await web.ask('POST / HTTP/1.1'))).toBe('421 4.7.0');
    await web.closed();
  });
});

describe('before TLS and before AUTH', () => {
  test('no sequence of commands sends mail without AUTH', async () => {
    await start();
    const client = await rig.tls();
    expect(await client.askAll(['MAIL FROM:<a@b.test>', 'EHLO x', MAIL, RCPT, 'DATA'])).toEqual([
      '503 5.5.1',
      '250',
      '530 5.7.0',
      '530 5.7.0',
      '530 5.7.0',
    ]);
    const clear = await rig.clear();
    expect(await clear.askAll(['EHLO x', MAIL, `AUTH PLAIN ${PLAIN}`, 'AUTH LOGIN'])).toEqual([
      '250',
      '530 5.7.0',
      '538 5.7.11',
      '538 5.7.11',
    ]);
    expect(JSON.stringify(rig.log)).not.toContain(PLAIN);
  });

  test('a password or a name that is not UTF-8 is a wrong one', async () => {
    await start();
    const client = await rig.tls();
    client.send(Buffer.from('EHLO b\xfcro\r\n', 'latin1'));
    expect(codeOf(await client.reply())).toBe('250');
    const latin = (text: string) => Buffer.from(text, 'latin1').toString('base64');
    expect(codeOf(await client.ask(`AUTH PLAIN ${latin(`\0${USER}\0${PASSWORD}`)}`))).toBe('535 5.7.8');
    expect(await client.askAll(['AUTH LOGIN', latin('anna\xfc'), latin(PASSWORD)])).toEqual(['334', '334', '535 5.7.8']);
    expect(codeOf(await client.ask(`AUTH PLAIN ${PLAIN}`))).toBe('235 2.7.0');
  });

  test('STARTTLS forgets what was said in clear', async () => {
    await start();
    const client = await rig.clear();
    await client.ask('EHLO x');
    await client.startTls();
    expect(await client.askAll([RCPT, `AUTH PLAIN ${PLAIN}`, 'EHLO x', RCPT, `AUTH PLAIN ${PLAIN}`, 'STARTTLS'])).toEqual([
      '503 5.5.1',
      '503 5.5.1',
      '250',
      '530 5.7.0',
      '235 2.7.0',
      '503 5.5.1',
    ]);
  });

  test.each(['STARTTLS\r\nRSET\r\nMAIL FROM:<x@y.test>\r\n', `STARTTLS\r\n${'NOOP\r\n'.repeat(200)}`, 'STARTTLS\r\nNOO'])(
    'what stands behind STARTTLS is never answered inside TLS: %j',
    async (bytes) => {
      await start();
      const client = await rig.clear();
      await client.ask('EHLO x');
      client.send(bytes);
      expect(codeOf(await client.reply())).toBe('421 4.7.0');
      await client.closed();
    },
  );
});

describe('AUTH', () => {
  const login = [`AUTH login ${base64(USER)}`, base64(PASSWORD)];
  test.each([
    [`AUTH PLAIN ${PLAIN}`],
    ['auth  plain', PLAIN],
    login,
    ['AUTH LOGIN', base64(USER), base64(PASSWORD)],
    [`AUTH PLAIN ${base64(`${USER}\0${USER}\0${PASSWORD}`)}`],
  ])('works as clients send it: %j %j', async (...lines) => {
    await start();
    const client = await rig.tls();
    await client.ask('EHLO x');
    const codes = await client.askAll(lines as string[]);
    expect(codes.at(-1)).toBe('235 2.7.0');
    expect(codes.slice(0, -1).every((code) => code === '334')).toBe(true);
    expect(rig.events('authenticated')).toMatchObject([{ user: USER }]);
  });

  test('LOGIN asks for user and password in the words all clients know, PLAIN asks with an empty challenge', async () => {
    await start();
    const client = await rig.tls();
    await client.ask('EHLO x');
    expect(await client.ask('AUTH LOGIN')).toBe('334 VXNlcm5hbWU6');
    expect(await client.ask(base64(USER))).toBe('334 UGFzc3dvcmQ6');
    expect(codeOf(await client.ask('*'))).toBe('501 5.7.0');
    expect(await client.ask('AUTH PLAIN')).toBe('334 ');
  });

  test.each([
    [`AUTH PLAIN !!!${PLAIN}@@`, '501 5.5.2'],
    [`AUTH PLAIN ${PLAIN.slice(0, -1)}`, '501 5.5.2'],
    [`AUTH PLAIN ${base64('a\0b')}`, '501 5.5.2'],
    [`AUTH PLAIN ${base64(`\0${USER}\0${PASSWORD}\0`)}`, '501 5.5.2'],
    [`AUTH PLAIN ${Buffer.from([0, 0xff, 0, 0xfe]).toString('base64')}`, '535 5.7.8'],
    [`AUTH PLAIN ${PLAIN} more`, '501 5.5.2'],
    [`AUTH PLAIN ${base64(`root\0${USER}\0${PASSWORD}`)}`, '535 5.7.8'],
    [`AUTH PLAIN ${base64(`\0${USER}\0wrong`)}`, '535 5.7.8'],
    ['AUTH PLAIN =', '501 5.5.2'],
    ['AUTH CRAM-MD5', '504 5.5.4'],
    ['AUTH', '501 5.5.4'],
  ])('%s is answered %s', async (line, code) => {
    await start();
    const client = await rig.tls();
    await client.ask('EHLO x');
    expect(codeOf(await client.ask(line))).toBe(code);
    expect(codeOf(await client.ask(`AUTH PLAIN ${PLAIN}`))).toBe('235 2.7.0'); // nothing stays behind
  });

  test('a second one, and one within a transaction, is out of sequence', async () => {
    await start();
    const client = await rig.loggedIn();
    expect(await client.askAll([`AUTH PLAIN ${PLAIN}`, MAIL, 'AUTH LOGIN'])).toEqual(['503 5.5.1', '250 2.1.0', '503 5.5.1']);
  });

  test('three wrong passwords end the session, the same one by two mechanisms is one', async () => {
    await start();
    const client = await rig.tls();
    const wrong = (password: string) => `AUTH PLAIN ${base64(`\0${USER}\0${password}`)}`;
    await client.askAll(['EHLO x', wrong('one'), `AUTH LOGIN ${base64(USER)}`]);
    expect(await client.askAll([base64('one'), wrong('two')])).toEqual(['535 5.7.8', '535 5.7.8']);
    expect(codeOf(await client.ask(wrong('three')))).toBe('535 5.7.8');
    expect(codeOf(await client.reply())).toBe('421 4.7.0');
    await client.closed();
    expect(JSON.stringify(rig.log)).not.toContain('three');
  });

  test.each([
    ['busy' as const, '454 4.7.0'],
    ['disabled' as const, '535 5.7.8'],
    ['expired' as const, '535 5.7.8'],
  ])('%s is answered %s', async (result, code) => {
    await start({ credentials: { verify: async () => ({ result }), ...NOBODY } });
    const client = await rig.tls();
    await client.ask('EHLO x');
    expect(codeOf(await client.ask(`AUTH PLAIN ${PLAIN}`))).toBe(code);
  });

  test('a password that comes where none is awaited is not in the log', async () => {
    await start();
    const password = 'TopSecret';
    const clear = await rig.clear();
    await clear.ask('EHLO client.test');
    // An old device does not look at the replies.
    await clear.askAll(['AUTH LOGIN', base64(USER), base64(password)]);
    const tls = await rig.tls();
    await tls.ask('EHLO client.test');
    await tls.askAll(['AUTH LOGIN', base64(USER)]);
    tls.send(`${base64('MailPassword')}\n`);
    expect(codeOf(await tls.reply())).toBe('500 5.5.2');
    const logged = JSON.stringify(rig.events('refused')).toUpperCase();
    expect(rig.events('refused').map(({ verb }) => verb)).toEqual(['AUTH', '', '', 'AUTH']);
    for (const secret of [password, USER, 'MailPassword']) expect(logged).not.toContain(base64(secret).slice(0, 4).toUpperCase());
  });

  test('a failing store is temporary, and its cause stands in the log', async () => {
    const cause = new Error('disk gone');
    await start({ credentials: { verify: async () => ({ result: 'unavailable', cause }), ...NOBODY } });
    const client = await rig.tls();
    await client.ask('EHLO x');
    expect(codeOf(await client.ask(`AUTH PLAIN ${PLAIN}`))).toBe('454 4.7.0');
    expect(rig.events('refused')).toMatchObject([{ verb: 'AUTH', code: 454, error: cause }]);
  });
});

describe('a transaction', () => {
  test('ends in the queue, and its reply names the message', async () => {
    await start();
    const client = await rig.loggedIn();
    expect(
      await client.askAll([
        `${MAIL} SIZE=100 BODY=8BITMIME AUTH=<> RET=HDRS ENVID=x+2By`,
        `${RCPT} NOTIFY=SUCCESS,DELAY ORCPT=rfc822;bob@example.org`,
        'DATA',
      ]),
    ).toEqual(['250 2.1.0', '250 2.1.5', '354']);
    client.send(TEXT);
    const reply = await client.reply();
    const [{ message, text, request }] = rig.queued as [Rig['queued'][number]];
    expect(reply).toBe(`250 2.0.0 Ok: queued as ${message.id}`);
    expect(text).toBe('From: anna@sender.test\r\n\r\nHello\r\n');
    expect(message).toMatchObject({
      user: USER,
      reversePath: 'anna@sender.test',
      ret: 'HDRS',
      envid: 'x+2By',
      recipients: [
        { address: 'bob@example.org', destination: 'example.org', notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;bob@example.org' },
      ],
    });
    expect(request.tls?.protocol).toBe('TLSv1.3');
    expect(rig.events('accepted')).toMatchObject([{ queueId: message.id, recipients: ['bob@example.org'] }]);
    expect(codeOf(await client.ask('QUIT'))).toBe('221 2.0.0');
    await client.closed();
  });

  test('twenty messages pass one session, pipelined in one piece', async () => {
    await start();
    const client = await rig.loggedIn();
    client.send(`${MAIL}\r\n${RCPT}\r\nDATA\r\n${TEXT}`.repeat(20));
    for (let i = 0; i < 20; i++) {
      const codes = [await client.reply(), await client.reply(), await client.reply(), await client.reply()].map(codeOf);
      expect(codes).toEqual(['250 2.1.0', '250 2.1.5', '354', '250 2.0.0']);
    }
    expect(rig.queued).toHaveLength(20);
  });

  test('a recipient that comes twice is one, the one above the limit is 452', async () => {
    await start({ limits: { maxRecipients: 2 } });
    const client = await rig.loggedIn();
    expect(await client.askAll([MAIL, RCPT, RCPT, 'RCPT TO:<c@example.org>', 'RCPT TO:<d@example.org>'])).toEqual([
      '250 2.1.0',
      '250 2.1.5',
      '250 2.1.5',
      '250 2.1.5',
      '452 4.5.3',
    ]);
  });

  test.each([
    [
      'the reply address of a code host',
      `reply+${'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'.repeat(2)}EVBNHHGABCDEFGHIJKL@reply.codehost.test`,
    ],
    ['the address of a forwarder', `SRS1=AbCd=${'first.forwarder.test'.repeat(3)}==XyZ1=7K=dest.test=a.long.name@second.test`],
    ['a variable envelope return path', `bounces+1234567-${'abcd'.repeat(20)}-anna=dest.test@mail.list.test`],
    [
      'the address of a groupware',
      `IMCEAEX-_O=EXAMPLE_OU=EXCHANGE+20ADMINISTRATIVE+20GROUP_${'CN=RECIPIENTS_'.repeat(15)}CN=ANNA@dest.test`,
    ],
    ['as much as a command line holds', `${'a'.repeat(4000)}@dest.test`],
  ])('%s is taken as recipient and as sender', async (_, address) => {
    await start({ credential: { senders: ['*'] } });
    const client = await rig.loggedIn();
    expect(await client.askAll([`MAIL FROM:<${address}>`, `RCPT TO:<${address}>`, 'DATA'])).toEqual([
      '250 2.1.0',
      '250 2.1.5',
      '354',
    ]);
    client.send('From: anna@sender.test\r\n\r\nHello\r\n.\r\n');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(rig.queued[0]!.message).toMatchObject({ reversePath: address, recipients: [{ address }] });
  });

  test('many long recipients are put off before they fill the memory', async () => {
    await start({ limits: { maxRecipients: 100 } });
    const client = await rig.loggedIn();
    await client.ask(MAIL);
    const codes = await client.askAll(Array.from({ length: 100 }, (_, i) => `RCPT TO:<${'a'.repeat(4000)}${i}@d.test>`));
    expect(codes.filter((code) => code === '250 2.1.5')).toHaveLength(26);
    expect(codes.at(-1)).toBe('452 4.5.3');
  });

  test('a sender in quotes that say nothing is the sender of the rule', async () => {
    await start({ credential: { senders: ['anna@sender.test'] } });
    const client = await rig.loggedIn();
    expect(await client.askAll(['MAIL FROM:<"anna"@sender.test>', 'RCPT TO:<"b\\ob"@example.org.>', 'DATA'])).toEqual([
      '250 2.1.0',
      '250 2.1.5',
      '354',
    ]);
    client.send(TEXT);
    await client.reply();
    expect(rig.queued[0]!.message).toMatchObject({
      reversePath: 'anna@sender.test',
      recipients: [{ address: 'bob@example.org', destination: 'example.org' }],
    });
  });

  test('mail for <postmaster> goes to the operator', async () => {
    await start({ operator: 'opérateur@example.net' });
    const client = await rig.loggedIn();
    expect(await client.askAll([MAIL, 'RCPT TO:<Postmaster>', 'RCPT TO:<"postmaster">', 'DATA'])).toEqual([
      '250 2.1.0',
      '250 2.1.5',
      '250 2.1.5',
      '354',
    ]);
    client.send(TEXT);
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(rig.queued[0]!.message.recipients).toMatchObject([{ address: 'opérateur@example.net' }]);
  });

  test('mail for <postmaster> is refused where there is no operator, and the reply says so', async () => {
    await start();
    const client = await rig.loggedIn();
    await client.ask(MAIL);
    expect(await client.ask('RCPT TO:<postmaster>')).toMatch(/^550 5\.1\.1 .*<postmaster>.*operator/);
    expect(codeOf(await client.ask('RCPT TO:<anna>'))).toBe('550 5.1.1');
  });

  test('the sender must belong to the login, in the envelope and in From', async () => {
    await start();
    const client = await rig.loggedIn();
    expect(await client.askAll(['MAIL FROM:<eve@other.test>', MAIL, RCPT, 'DATA'])).toEqual([
      '553 5.7.1',
      '250 2.1.0',
      '250 2.1.5',
      '354',
    ]);
    client.send('From: eve@other.test\r\n\r\nHello\r\n.\r\n');
    expect(codeOf(await client.reply())).toBe('550 5.7.1');
    expect(rig.queued).toHaveLength(0);
    expect(codeOf(await client.ask(MAIL))).toBe('250 2.1.0');
  });

  test.each([true, false])(
    "a person's read receipt has the null reverse-path, and From is the login's own (checkFrom %s)",
    async (checkFrom) => {
      await start({ limits: { checkFrom } });
      const client = await rig.loggedIn();
      for (const [from, code] of [
        ['anna@sender.test', '250 2.0.0'],
        ['postmaster@mail.sender.test', '550 5.7.1'],
        ['eve@other.test', '550 5.7.1'],
      ]) {
        expect(await client.askAll(['MAIL FROM:<>', RCPT, 'DATA'])).toEqual(['250 2.1.0', '250 2.1.5', '354']);
        client.send(
          `From: ${from}\r\nContent-Type: multipart/report; report-type=disposition-notification; boundary=x\r\n\r\n\r\n.\r\n`,
        );
        expect(codeOf(await client.reply())).toBe(code);
      }
      expect(rig.queued).toMatchObject([{ message: { user: USER, reversePath: '' } }]);
    },
  );

  test('a read receipt counts for the limits of its login', async () => {
    const refusal = new Refusal(450, '4.7.1', 'Limit');
    const asked: string[] = [];
    await start({
      quota: {
        limitsOf: () => undefined,
        atMail: async ({ name }) => {
          asked.push(name);
          throw refusal;
        },
        atRecipient: () => undefined,
        noteUse: () => {},
        refusal: () => refusal,
      },
    });
    const client = await rig.loggedIn();
    expect(codeOf(await client.ask('MAIL FROM:<>'))).toBe('450 4.7.1');
    expect(asked).toEqual([USER]);
  });

  test('a mail server sends reports with the null reverse-path', async () => {
    await start({ credential: { mailServer: true } });
    const client = await rig.loggedIn();
    for (const mail of ['MAIL FROM:<>', 'MAIL FROM:<> SIZE=18019', 'MAIL FROM:<> BODY=8BITMIME AUTH=<>']) {
      expect(codeOf(await client.ask(mail))).toBe('250 2.1.0');
      await client.ask('RSET');
    }
    expect(await client.askAll(['MAIL FROM:<><ceo@sender.test>', 'MAIL FROM:<> AUTH=<> <ceo@sender.test>'])).toEqual([
      '501 5.5.4',
      '501 5.5.4',
    ]);
  });

  test.each(['scanner', '<scanner', '<scanner>', '', 'Floor 3 SIZE=100', '<a@b@c> BODY=8BITMIME', 'jürgen@local'])(
    'a device whose sender is rewritten may say MAIL FROM:%s',
    async (path) => {
      await start({ credential: { rewrite: 'scanner@sender.test' } });
      const client = await rig.loggedIn();
      expect(codeOf(await client.ask(`MAIL FROM:${path}`))).toBe('250 2.1.0');
    },
  );

  test('a device whose sender is rewritten may name itself in ISO 8859-1; a login without a prescribed sender may not', async () => {
    const line = Buffer.from('MAIL FROM:<B\xfcro 3> SIZE=10\r\n', 'latin1');
    for (const [rewrite, reply] of [
      ['scanner@sender.test', '250 2.1.0'],
      [null, '501 5.1.7'],
    ] as const) {
      await start({ credential: { rewrite } });
      const client = await rig.loggedIn();
      client.send(line);
      expect(codeOf(await client.reply())).toBe(reply);
      await rig.close();
    }
  });

  test('a device with a fixed sender may say what it likes', async () => {
    await start({ credential: { rewrite: 'scanner@sender.test' } });
    const client = await rig.loggedIn();
    await client.askAll(['MAIL FROM:<root@localhost>', RCPT, 'DATA']);
    client.send('From: root@localhost\r\n\r\nscan\r\n.\r\n');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(rig.queued[0]).toMatchObject({
      message: { reversePath: 'scanner@sender.test' },
      request: { rewrite: 'scanner@sender.test' },
    });
  });

  test('too large is refused at MAIL, and after the last dot where the client lied', async () => {
    await start({ limits: { maxMessageSize: 1000 } });
    const client = await rig.loggedIn();
    expect(await client.askAll([`${MAIL} SIZE=1001`, `${MAIL} SIZE=-1`, `${MAIL} SIZE=10`, RCPT, 'DATA'])).toEqual([
      '552 5.3.4',
      '501 5.5.4',
      '250 2.1.0',
      '250 2.1.5',
      '354',
    ]);
    client.send(`From: anna@sender.test\r\n\r\n${'x\n.\nMAIL FROM:<evil@x>\r\n'.repeat(1000)}.\r\n`);
    expect(codeOf(await client.reply())).toBe('552 5.3.4');
    expect(rig.aborted).toHaveLength(1);
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
  });

  test('trouble on our side is temporary, and the next message is judged afresh', async () => {
    let failing = true;
    await start({
      onFinish() {
        if (failing) throw new Error('no space');
      },
    });
    const client = await rig.loggedIn();
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send(TEXT);
    expect(codeOf(await client.reply())).toBe('451 4.3.0');
    expect(client.transcript.at(-1)).not.toContain('space');
    failing = false;
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send(TEXT);
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
  });

  test('a stored message is answered 250 also if something fails afterwards, because the client would send it again', async () => {
    const quota = {
      limitsOf: () => undefined,
      atMail: () => undefined,
      atRecipient: () => undefined,
      noteUse: () => {
        throw new Error('a bug');
      },
      refusal: () => new Refusal(450, '4.7.1', 'Limit'),
    };
    await start({ quota });
    const client = await rig.loggedIn();
    client.send(`${MAIL}\r\n${RCPT}\r\nDATA\r\n`);
    for (const code of ['250 2.1.0', '250 2.1.5', '354']) expect(codeOf(await client.reply())).toBe(code);
    client.send(TEXT);
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(rig.queued).toHaveLength(1);
    expect(rig.events('acceptedButFailed')).toMatchObject([{ queueId: rig.queued[0]!.message.id, error: { message: 'a bug' } }]);
  });

  test('a connection that is lost within the text leaves nothing', async () => {
    await start();
    const client = await rig.loggedIn();
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send('From: anna@sender.test\r\n\r\nHel');
    client.socket.end();
    await expect.poll(() => rig.aborted.length).toBe(1);
    expect(rig.queued).toHaveLength(0);
  });

  test.each(['submissions', 'submission'] as const)(
    'who closes its side behind the text gets its 250 all the same: %s',
    async (port) => {
      await start();
      const client = await rig.loggedIn(port);
      await client.askAll([MAIL, RCPT, 'DATA']);
      client.socket.end(TEXT);
      expect(codeOf(await client.reply())).toBe('250 2.0.0');
      await client.closed();
      expect(rig.queued).toHaveLength(1);
    },
  );

  test.each([
    ['DATA', '503 5.5.1'],
    [RCPT, '503 5.5.1'],
  ])('%s without MAIL is out of sequence', async (line, code) => {
    await start();
    const client = await rig.loggedIn();
    expect(codeOf(await client.ask(line))).toBe(code);
  });

  test('one bad recipient is one bad recipient: 550 or 553, and the log names sender and recipient', async () => {
    await start();
    const client = await rig.loggedIn();
    expect(await client.askAll([MAIL, 'RCPT TO:<b c@example.org>', 'RCPT TO:<>', 'RCPT TO: b@', RCPT])).toEqual([
      '250 2.1.0',
      '553 5.1.3',
      '553 5.1.3',
      '501 5.1.3',
      '250 2.1.5',
    ]);
    await client.askAll(['RCPT TO:<d@example.org> FOO=1', 'RSET', `${MAIL} FOO=1`]);
    const sender = { reversePath: 'anna@sender.test' };
    expect(rig.events('refused')).toMatchObject([
      { ...sender, recipient: 'b c@example.org' },
      { ...sender, recipient: '' },
      { ...sender, recipient: 'b@' },
      { ...sender, recipient: 'd@example.org' },
      { ...sender, verb: 'MAIL', code: 555 },
    ]);
  });

  test('DATA without a recipient, and MAIL within a transaction, are refused', async () => {
    await start();
    const client = await rig.loggedIn();
    expect(await client.askAll([MAIL, MAIL, 'RCPT TO:<bob@[127.0.0.1]>', 'DATA'])).toEqual([
      '250 2.1.0',
      '503 5.5.1',
      '550 5.1.2',
      '554 5.5.1',
    ]);
  });

  test('a login that is gone meanwhile sends no more, wherever its session stands', async () => {
    let gone = false;
    await start({
      credentials: {
        verify: async () => ({ result: 'ok', credential: CREDENTIAL }),
        current: () => (gone ? undefined : CREDENTIAL),
        renewed: async () => CREDENTIAL,
      },
    });
    for (const said of [[], [MAIL], [MAIL, RCPT]]) {
      const client = await rig.loggedIn();
      gone = false;
      await client.askAll([MAIL, 'RSET', ...said]);
      gone = true;
      expect(codeOf(await client.ask([MAIL, RCPT, 'DATA'][said.length]!))).toBe('530 5.7.0');
      expect(rig.events('refused').at(-1)).toMatchObject({ code: 530, user: USER });
      expect(await client.askAll([MAIL, RCPT, 'DATA'])).toEqual(['530 5.7.0', '530 5.7.0', '530 5.7.0']);
      gone = false;
      expect(await client.askAll([`AUTH PLAIN ${PLAIN}`, MAIL])).toEqual(['235 2.7.0', '250 2.1.0']);
    }
  });

  test('rights that change between MAIL and DATA are judged again', async () => {
    let now: Credential = CREDENTIAL;
    await start({
      credentials: {
        verify: async () => ({ result: 'ok', credential: now }),
        current: async () => now,
        renewed: async () => now,
      },
    });
    const client = await rig.loggedIn();
    await client.askAll([MAIL, RCPT]);
    now = { ...now, senders: ['*'], revision: 1 };
    expect(codeOf(await client.ask('RCPT TO:<two@dest.test>'))).toBe('250 2.1.5');
    now = { ...now, rewrite: 'device@sender.test', revision: 2 };
    client.send('DATA\r\nFrom: anna@sender.test\r\n\r\nx\r\n.\r\n');
    expect([codeOf(await client.reply()), codeOf(await client.reply())]).toEqual(['354', '250 2.0.0']);
    expect(rig.queued[0]?.message.reversePath).toBe('device@sender.test');
    expect(rig.queued[0]?.request.rewrite).toBe('device@sender.test');
    now = { ...now, rewrite: null };
    await client.askAll([MAIL, RCPT]);
    now = { ...now, senders: ['@other.test'], revision: 3 };
    expect(await client.askAll(['DATA', 'DATA', 'RSET', MAIL])).toEqual(['553 5.7.1', '553 5.7.1', '250 2.0.0', '553 5.7.1']);
  });

  test('a message whose login changes under way is judged as the store has it, and tried again a few times', async () => {
    let revision = 0;
    let denied: 'ended' | 'changed' | undefined;
    let tries = 0;
    await start({
      credentials: {
        verify: async () => ({ result: 'ok', credential: CREDENTIAL }),
        current: () => CREDENTIAL,
        renewed: async () => (denied === 'ended' ? undefined : { ...CREDENTIAL, revision: ++revision }),
      },
      queue: {
        async add({ message, grant }) {
          expect(grant).toMatchObject({ name: USER, generation: CREDENTIAL.generation, revision });
          tries++;
          if (denied !== undefined) return { accepted: false, denied, content: message.content };
          return { accepted: true, id: message.id, held: false, use: [] };
        },
      },
    });
    const client = await rig.loggedIn();
    const sent = async (how: typeof denied) => {
      denied = how;
      revision = tries = 0;
      await client.askAll([MAIL, RCPT, 'DATA']);
      return codeOf(await client.ask('From: anna@sender.test\r\n\r\nx\r\n.'));
    };
    expect([await sent('ended'), tries]).toEqual(['530 5.7.0', 1]);
    expect([await sent('changed'), tries]).toEqual(['451 4.7.0', 5]);
    expect([await sent(undefined), tries]).toEqual(['250 2.0.0', 1]);
  });

  test('a login that is no mail server any more sends no report of a stranger, also without checkFrom', async () => {
    const server: Credential = { ...CREDENTIAL, mailServer: true };
    await start({
      limits: { checkFrom: false },
      credentials: {
        verify: async () => ({ result: 'ok', credential: server }),
        current: () => server,
        renewed: async () => ({ ...server, mailServer: false, revision: 1 }),
      },
      queue: { add: async ({ message }) => ({ accepted: false, denied: 'changed', content: message.content }) },
    });
    const client = await rig.loggedIn();
    await client.askAll(['MAIL FROM:<>', RCPT, 'DATA']);
    expect(codeOf(await client.ask('From: eve@other.test\r\n\r\nx\r\n.'))).toBe('550 5.7.1');
  });

  test('dots: the end is CRLF.CRLF alone, and only dots behind CRLF are removed', async () => {
    await start();
    const client = await rig.loggedIn();
    await client.askAll([MAIL, RCPT, 'DATA']);
    client.send('From: anna@sender.test\r\n\r\n..a\r\n...\r\nb\n..c\r\n.d\r\n.\r\nNOOP\r\n');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(codeOf(await client.reply())).toBe('250 2.0.0');
    expect(rig.queued[0]?.text).toBe('From: anna@sender.test\r\n\r\n.a\r\n..\r\nb\n..c\r\nd\r\n');
  });

  test.each(['\r\n.\n', '\r\n.\r', '\r\n.\r\r\n', '\r\r\n.\r\r\n'])(
    'a lone dot in %j is refused once, and nothing behind it runs',
    async (form) => {
      await start();
      const client = await rig.loggedIn();
      await client.askAll([MAIL, RCPT, 'DATA']);
      client.send(`From: anna@sender.test\r\n\r\nHello${form}MAIL FROM:<evil@x>\r\nRCPT TO:<v@x>\r\nDATA\r\nevil\r\n.\r\n`);
      expect(codeOf(await client.reply())).toBe('550 5.6.11');
      expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
      expect(client.unread).toBe('');
    },
  );
});

describe('bad lines', () => {
  test.each([
    ['MAIL FROM:<anna@sender.test>\n', '500 5.5.2'],
    ['MAIL FROM:<an\rna@sender.test>\r\n', '501 5.1.7'],
    ['MAIL FROM:<an\0na@sender.test>\r\n', '501 5.1.7'],
    ['MAIL FROM:<an\tna@sender.test>\r\n', '501 5.1.7'],
    ['RCPT TO:<b\0@example.org>\r\n', '501 5.1.3'],
    [Buffer.from('4e4f4f5020ff0d0a', 'hex'), '501 5.5.2'],
    ['\r\n', '500 5.5.2'],
    [`MAIL FROM:<a@${'d'.repeat(64)}.test>\r\n`, '501 5.1.7'],
    ['MAIL FROM:<anna@sender.test> FOO=BAR\r\n', '555 5.5.4'],
    ['MAIL FROM:<anna@sender.test> BODY=BINARYMIME\r\n', '555 5.5.4'],
    ['MAIL FROM:<anna@sender.test> SIZE=1 size=2\r\n', '501 5.5.4'],
    ['MAIL FROM:<anna@sender.test> RET=X\r\n', '501 5.5.4'],
    ['MAIL FROM:<anna@sender.test> ENVID=a+0D+0AX\r\n', '501 5.5.4'],
    ['WIZ x\r\n', '502 5.5.1'],
    ['BDAT 5 LAST\r\n', '502 5.5.1'],
    ['XCLIENT ADDR=10.0.0.1 LOGIN=root\r\n', '502 5.5.1'],
    ['ETRN x\r\n', '502 5.5.1'],
    ['HELP\r\n', '502 5.5.1'],
    ['EXPN list\r\n', '502 5.5.1'],
    ['VRFY anna\r\n', '252 2.5.0'],
  ])('%j is answered %s and not executed', async (bytes, code) => {
    await start();
    const client = await rig.loggedIn();
    client.send(bytes);
    expect(codeOf(await client.reply())).toBe(code);
    expect(codeOf(await client.ask('DATA'))).toBe('503 5.5.1');
    expect(client.unread).toBe('');
  });

  test('a line that is too long is dropped to its end', async () => {
    await start();
    const client = await rig.loggedIn();
    client.send(`NOOP ${'x'.repeat(16_000)}\r\n`);
    expect(codeOf(await client.reply())).toBe('500 5.5.6');
    expect(codeOf(await client.ask(`AUTH PLAIN ${'A'.repeat(12_300)}`))).toBe('500 5.5.6');
    expect(codeOf(await client.ask('NOOP'))).toBe('250 2.0.0');
    expect(client.unread).toBe('');
  });

  test('a reply is ASCII, and what an attacker says is cut in the log', async () => {
    await start();
    const client = await rig.loggedIn();
    const reply = await client.ask('MAIL FROM:<jürgen@other.test> SMTPUTF8');
    expect(reply).toContain('<j?rgen@other.test>');
    await client.ask(`${'X'.repeat(3000)} y`);
    await client.ask(`MAIL FROM:<${'y'.repeat(3000)}>`);
    expect(JSON.stringify(rig.events('refused')).length).toBeLessThan(1500);
  });

  test('ten bad commands, a hundred without effect, a hundred bad recipients end the session', async () => {
    await start();
    for (const [line, count] of [
      ['WIZ', 10],
      ['NOOP', 100],
    ] as const) {
      const client = await rig.tls();
      client.send(`${line}\r\n`.repeat(10_000));
      const codes: string[] = [];
      while (codes.at(-1) !== '421 4.7.0') codes.push(codeOf(await client.reply()));
      expect(codes).toHaveLength(count + 1);
      await client.closed();
    }
    const client = await rig.loggedIn();
    await client.ask(MAIL);
    client.send('RCPT TO:<u@localhost>\r\n'.repeat(500));
    for (let i = 0; i < 100; i++) expect(codeOf(await client.reply())).toBe('550 5.1.2');
    expect(codeOf(await client.reply())).toBe('421 4.7.0');
    await client.closed();
  });
});
