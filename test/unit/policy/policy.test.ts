import { describe, expect, test } from 'vitest';
import { checkAuthor, checkReversePath, coversSender } from '../../../src/policy/policy.ts';
import { Refusal } from '../../../src/smtp/reply.ts';
import { CREDENTIAL } from '../../support/submission-rig.ts';

const codeOf = (check: () => void): string => {
  try {
    check();
  } catch (error) {
    if (error instanceof Refusal) return `${error.reply.code} ${error.reply.status}`;
    throw error;
  }
  return 'allowed';
};

describe('a rule covers', () => {
  test.each([
    ['anna@a.test', 'anna@a.test', true],
    ['Anna@a.test', 'anNA@a.test', true],
    ['anna@a.test', 'bob@a.test', false],
    ['anna@a.test', 'xanna@a.test', false],
    ['@a.test', 'bob@a.test', true],
    ['@a.test', 'bob@b.a.test', false],
    ['@a.test', 'bob@xa.test', false],
    ['@.a.test', 'bob@a.test', true],
    ['@.a.test', 'bob@b.a.test', true],
    ['@.a.test', 'bob@xa.test', false],
    ['@.', 'bob@a.test', false],
    ['@a.test', '"x@a.test"@b.test', false],
    ['@a.test', 'x@a.test@b.test', false],
    ['"Anna"@a.test', 'anna@a.test', true],
    ['"anna@a.test', 'anna@a.test', false],
    ['a..b@a.test', '"a..b"@a.test', true],
    ['*', 'anyone@anywhere.test', true],
    ['\u212aelvin@a.test', 'kelvin@a.test', false],
  ])('%s and %s: %s', (rule, address, covered) => {
    expect(coversSender([rule], address)).toBe(covered);
  });

  test('none, where there is no rule', () => {
    expect(coversSender([], 'anna@a.test')).toBe(false);
  });
});

describe('the reverse-path', () => {
  test('belongs to the login', () => {
    expect(codeOf(() => checkReversePath(CREDENTIAL, 'bob@sender.test'))).toBe('allowed');
    expect(codeOf(() => checkReversePath(CREDENTIAL, 'bob@other.test'))).toBe('553 5.7.1');
  });

  test('may be null for everybody: who sends it, the header says', () => {
    expect(codeOf(() => checkReversePath(CREDENTIAL, ''))).toBe('allowed');
    expect(codeOf(() => checkReversePath({ ...CREDENTIAL, senders: [], mailServer: true }, ''))).toBe('allowed');
  });
});

describe('the author', () => {
  test.each([
    [['anna@sender.test'], undefined, 'allowed'],
    [['eve@other.test'], undefined, '550 5.7.1'],
    [['anna@sender.test', 'eve@other.test'], 'anna@sender.test', '550 5.7.1'],
    [['anna@sender.test', 'bob@sender.test'], 'eve@other.test', '550 5.7.1'],
    [['anna@sender.test'], 'eve@other.test', '550 5.7.1'],
    [['anna@sender.test', 'bob@sender.test'], 'anna@sender.test', 'allowed'],
  ])('From %j, Sender %s: %s', (from, sender, code) => {
    const author = { from, nullSender: false, ...(sender === undefined ? {} : { sender }) };
    expect(codeOf(() => checkAuthor(CREDENTIAL, author))).toBe(code);
  });

  test.each([
    ['postmaster@sender.test', 'allowed'],
    ['MAILER-DAEMON@mail.sender.test', 'allowed'],
    ['postmaster@exchange.corp.local', 'allowed'],
    ['anna@corp.local', '550 5.7.1'],
    ['anna@sender.test', '550 5.7.1'],
    ['bob@sender.test', 'allowed'],
    ['postmaster@other.test', '550 5.7.1'],
    ['postmaster@badsender.test', '550 5.7.1'],
    ['eve@other.test', '550 5.7.1'],
  ])("of a mail server's report is one of its own senders, or the postmaster of their domains: %s", (from, code) => {
    const server = { ...CREDENTIAL, mailServer: true, senders: ['bob@sender.test'] };
    expect(codeOf(() => checkAuthor(server, { from: [from], nullSender: true }))).toBe(code);
  });

  test("is no postmaster unless it is a mail server's report", () => {
    const report = { from: ['postmaster@sender.test'], nullSender: true };
    const bob = { ...CREDENTIAL, senders: ['bob@sender.test'] };
    expect(codeOf(() => checkAuthor(bob, report))).toBe('550 5.7.1');
    expect(codeOf(() => checkAuthor({ ...bob, mailServer: true }, { ...report, nullSender: false }))).toBe('550 5.7.1');
  });
});
