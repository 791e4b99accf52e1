import { describe, expect, test } from 'vitest';
import { parseMailbox, parsePath } from '../../../src/smtp/address.ts';
import { toAsciiDomain } from '../../../src/smtp/domain.ts';
import { cpuTime } from '../../support/cpu-time.ts';

describe('a mailbox', () => {
  test.each([
    ['anna@Example.ORG', 'anna@example.org'],
    ['Anna.B+tag@example.org', 'Anna.B+tag@example.org'],
    ['u%ext@relay.test', 'u%ext@relay.test'],
    ['ext!u@relay.test', 'ext!u@relay.test'],
    ['"a b"@d.test', '"a b"@d.test'],
    ['"a@evil.test x"@d.test', '"a@evil.test x"@d.test'],
    ['"a\\"b"@d.test', '"a\\"b"@d.test'],
    ['anna@bücher.example', 'anna@xn--bcher-kva.example'],
    ['anna@Bücher。example', 'anna@xn--bcher-kva.example'],
    ['jürgen@example.org', 'jürgen@example.org'],
    [`${'a'.repeat(64)}@d.test`, `${'a'.repeat(64)}@d.test`],
    [`reply+${'a'.repeat(84)}@reply.codehost.test`, `reply+${'a'.repeat(84)}@reply.codehost.test`],
    ['SRS0=aBc/=7K=dest.test=long.name@forwarder.test', 'SRS0=aBc/=7K=dest.test=long.name@forwarder.test'],
    [`${'ü'.repeat(300)}@d.test`, `${'ü'.repeat(300)}@d.test`],
    [`${'a'.repeat(4000)}@d.test`, `${'a'.repeat(4000)}@d.test`],
    [
      `a@${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(56)}.test`,
      `a@${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(63)}.${'d'.repeat(56)}.test`,
    ],
    ['"app"@d.test', 'app@d.test'],
    ['"\\a\\p\\p"@d.test', 'app@d.test'],
    ['"a.b"@d.test', 'a.b@d.test'],
    ['"a\\ b"@d.test', '"a b"@d.test'],
    ['""@d.test', '""@d.test'],
    ['a..b@d.test', '"a..b"@d.test'],
    ['.a.@d.test', '".a."@d.test'],
    ['u@a_b.test', 'u@a_b.test'],
    ['u@_x.test', 'u@_x.test'],
    ['u@bü_cher.test', 'u@xn--b_cher-3ya.test'],
    ['u@d.test.', 'u@d.test'],
    ['u@d。test。', 'u@d.test'],
    ['__proto__@x.test', '__proto__@x.test'],
  ])('%s is %s', (text, address) => {
    expect(parseMailbox(text)).toEqual({ address, needsUtf8: /[^\x00-\x7f]/.test(text) });
  });

  test.each([
    ['', 'syntax'],
    ['anna', 'no domain'],
    ['Postmaster', 'no domain'],
    ['"u%ext"', 'no domain'],
    ['anna@', 'syntax'],
    ['@d.test', 'syntax'],
    ['u@ext@relay.test', 'syntax'],
    ['"u@ext"x@relay.test', 'syntax'],
    ['"open@d.test', 'syntax'],
    ['a b@d.test', 'syntax'],
    ['.@d.test', 'syntax'],
    ['...@d.test', 'syntax'],
    ['a\ud800@d.test', 'syntax'],
    ['u@-d.test', 'syntax'],
    ['u@d-.test', 'syntax'],
    ['u@d..t', 'syntax'],
    ['u@d.test..', 'syntax'],
    ['u@.', 'literal'],
    ['u@d.test:2525', 'syntax'],
    ['a@good(x)evil.test', 'syntax'],
    ['u@..%2f', 'syntax'],
    ['a\u00a0b@d.test', 'syntax'],
    ['a\u202eb@d.test', 'syntax'],
    [`a@${'a'.repeat(64)}.test`, 'syntax'],
    [`a@${'a.'.repeat(126)}test`, 'syntax'],
    ['u@[127.0.0.1]', 'literal'],
    ['u@[IPv6:::1]', 'literal'],
    ['u@127.0.0.1', 'literal'],
    ['u@１２７.０.０.１', 'syntax'],
    ['u@localhost', 'dotless'],
    ['u@localhost.', 'dotless'],
    ['u@toString', 'dotless'],
  ])('%s is none: %s', (text, problem) => {
    expect(parseMailbox(text)).toBe(problem);
  });

  test('hostile lengths take no time', () => {
    const bombs = [
      'a@'.repeat(50_000),
      `a@${'a.'.repeat(50_000)}`,
      '"\\'.repeat(30_000),
      `a@${'ü.'.repeat(50_000)}`,
      '<'.repeat(64_000),
    ];
    const parse = (bomb: string) => {
      parseMailbox(bomb);
      parsePath(`<${bomb}>`);
      parsePath(bomb);
      toAsciiDomain(bomb);
    };
    expect(cpuTime(() => bombs.forEach(parse))).toBeLessThan(500);
  });
});

describe('a path', () => {
  test.each([
    ['<a@b.test>', { mailbox: 'a@b.test', rest: '' }],
    ['<a@b.test> SIZE=1  RET=FULL ', { mailbox: 'a@b.test', rest: 'SIZE=1  RET=FULL' }],
    ['<>', { mailbox: '', rest: '' }],
    ['<> AUTH=<>', { mailbox: '', rest: 'AUTH=<>' }],
    ['<"a>b"@c.test> X', { mailbox: '"a>b"@c.test', rest: 'X' }],
    ['<@relay.test:u@ext.test>', { mailbox: 'u@ext.test', rest: '' }],
    ['<@a.test,@b.test:u@ext.test>', { mailbox: 'u@ext.test', rest: '' }],
    ['a@b.test', { mailbox: 'a@b.test', rest: '' }],
    ['a@b.test SIZE=1', { mailbox: 'a@b.test', rest: 'SIZE=1' }],
  ])('%s', (text, path) => {
    expect(parsePath(text)).toEqual(path);
  });

  test.each([
    '',
    '<',
    '<a@b.test',
    '<><ceo@x.test>',
    '<a@b.test>x',
    'a',
    'a@b@c',
    'Anna <a@b.test>',
    'a@b.test,c@d.test',
    '<@:u@x>',
    '<@a b:u@x>',
    '"a b"@c.test',
  ])('%j is none', (text) => {
    expect(parsePath(text)).toBeUndefined();
  });
});
