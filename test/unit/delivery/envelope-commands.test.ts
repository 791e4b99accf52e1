import { expect, test } from 'vitest';
import { type Letter, mailCommand, rcptCommand, unsendable } from '../../../src/delivery/envelope-commands.ts';
import { NO_EXTENSIONS, parseExtensions } from '../../../src/delivery/extensions.ts';

const all = parseExtensions({
  code: 250,
  lines: ['mx', 'PIPELINING', 'size 1000', '8bitmime', 'SMTPUTF8', 'DSN', 'STARTTLS', 'AUTH PLAIN login', 'AUTH=CRAM-MD5'],
});
const letter = (message: Partial<Letter['message']> = {}): Letter => ({
  message: { reversePath: 'a@b.test', body: '7BIT', needsSmtpUtf8: false, ...message },
  content: { kind: 'inline', bytes: new Uint8Array(5) },
});

const TO = [{ address: 'u@d.test' }];

test('extensions are read in upper and lower case, and the old form of AUTH too', () => {
  expect(all).toEqual({
    known: true,
    pipelining: true,
    size: true,
    eightBitMime: true,
    smtpUtf8: true,
    dsn: true,
    startTls: true,
    requireTls: false,
    auth: ['PLAIN', 'LOGIN', 'CRAM-MD5'],
  });
});

test('REQUIRETLS is sent where the message has it and the host promises it, and is no parameter to leave out', () => {
  const promised = { ...all, requireTls: true };
  expect(mailCommand(letter({ requireTls: true }), TO, promised)).toBe('MAIL FROM:<a@b.test> SIZE=5 REQUIRETLS\r\n');
  expect(mailCommand(letter({ requireTls: true }), TO, all)).toBe('MAIL FROM:<a@b.test> SIZE=5\r\n');
  expect(mailCommand(letter(), TO, promised)).toBe('MAIL FROM:<a@b.test> SIZE=5\r\n');
  const quoted = 'MAIL FROM:<a@b.test> SIZE=5 REQUIRETLS RET=HDRS\r\n';
  expect(mailCommand(letter({ requireTls: true, ret: 'FULL' }), TO, promised), 'reports quote its header only').toBe(quoted);
});

test('parameters are sent if the host offers them and the message needs them', () => {
  expect(mailCommand(letter(), TO, all)).toBe('MAIL FROM:<a@b.test> SIZE=5\r\n');
  expect(mailCommand(letter({ body: '8BITMIME', needsSmtpUtf8: true, ret: 'HDRS', envid: 'x+2By' }), TO, all)).toBe(
    'MAIL FROM:<a@b.test> SIZE=5 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=x+2By\r\n',
  );
  expect(mailCommand(letter({ reversePath: '', body: '8BITMIME', ret: 'FULL', envid: 'x' }), TO, NO_EXTENSIONS)).toBe(
    'MAIL FROM:<>\r\n',
  );
});

test('each recipient has its own NOTIFY and ORCPT: RFC 3461 §4', () => {
  expect(rcptCommand({ address: 'u@d.test' }, all)).toBe('RCPT TO:<u@d.test>\r\n');
  expect(rcptCommand({ address: 'u@d.test', notify: ['SUCCESS', 'DELAY'] }, all)).toBe(
    'RCPT TO:<u@d.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;u@d.test\r\n',
  );
  expect(rcptCommand({ address: 'u+t@d.test', notify: ['NEVER'] }, all)).toContain('ORCPT=rfc822;u+2Bt@d.test');
  expect(rcptCommand({ address: 'u@d.test', orcpt: 'rfc822;old@e.test' }, all)).toBe(
    'RCPT TO:<u@d.test> ORCPT=rfc822;old@e.test\r\n',
  );
  expect(rcptCommand({ address: 'u@d.test', notify: ['NEVER'], orcpt: 'rfc822;x@y' }, NO_EXTENSIONS)).toBe(
    'RCPT TO:<u@d.test>\r\n',
  );
});

test('our ORCPT has the type of its address, and is left out if it would be too long', () => {
  expect(rcptCommand({ address: 'jü=r\\@d.test', notify: ['NEVER'] }, all)).toBe(
    'RCPT TO:<jü=r\\@d.test> NOTIFY=NEVER ORCPT=utf-8;j\\x{FC}\\x{3D}r\\x{5C}@d.test\r\n',
  );
  const address = `${'a'.repeat(500)}@d.test`;
  expect(rcptCommand({ address, notify: ['NEVER'] }, all)).toBe(`RCPT TO:<${address}> NOTIFY=NEVER\r\n`);
  expect(rcptCommand({ address: 'u@d.test', orcpt: `rfc822;${address}` }, all)).toBe('RCPT TO:<u@d.test>\r\n');
});

test('only the transaction that needs SMTPUTF8 asks for it: RFC 6531 §3.1', () => {
  expect(mailCommand(letter(), [...TO, { address: 'jürgen@d.test' }], all)).toBe('MAIL FROM:<a@b.test> SIZE=5 SMTPUTF8\r\n');
  expect(mailCommand(letter({ reversePath: 'jürgen@b.test' }), TO, all)).toBe('MAIL FROM:<jürgen@b.test> SIZE=5 SMTPUTF8\r\n');
});

test('mail that a host cannot take is not sent to it, and another host is tried before this is final', () => {
  const poor = { extensions: NO_EXTENSIONS, certain: true };
  const noUtf8 = { kind: 'failed', reply: { status: '5.6.7' }, tryNext: true };
  expect(unsendable(letter({ needsSmtpUtf8: true }), 'u@d.test', poor, 'send')).toMatchObject(noUtf8);
  expect(unsendable(letter({ reversePath: 'ü@b.test' }), 'u@d.test', poor, 'send')).toMatchObject(noUtf8);
  expect(unsendable(letter(), 'ü@d.test', poor, 'send')).toMatchObject(noUtf8);
  expect(unsendable(letter(), 'u@d.test', poor, 'send')).toBeUndefined();
  expect(unsendable(letter({ needsSmtpUtf8: true }), 'ü@d.test', { extensions: all, certain: true }, 'send')).toBeUndefined();
  expect(unsendable(letter({ body: '8BITMIME' }), 'u@d.test', poor, 'send')).toBeUndefined();
  expect(unsendable(letter({ body: '8BITMIME' }), 'u@d.test', poor, 'return')).toMatchObject({
    kind: 'failed',
    reply: { status: '5.6.3' },
    tryNext: true,
  });
});

test('an extension that a host does not offer in this session may still be supported by it', () => {
  const unsure = { extensions: NO_EXTENSIONS, certain: false };
  expect(unsendable(letter(), 'ü@d.test', unsure, 'send')).toMatchObject({ about: 'us', kind: 'delayed' });
  expect(unsendable(letter({ body: '8BITMIME' }), 'u@d.test', unsure, 'return')).toMatchObject({ about: 'us', kind: 'delayed' });
});
