/** What domains write about MTA-STS: records, policy files, and which hosts they mean. RFC 8461 §3.1, §3.2, §4.1 */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findStsId, type PolicyFile, parsePolicy, policyNames } from '../../../src/tls-policy/mta-sts.ts';
import { saying } from '../../support/phrases.ts';
import { GOOD_POLICIES, INVALID_POLICIES } from './policy-texts.ts';

const read = (text: string | Uint8Array) => parsePolicy(typeof text === 'string' ? Buffer.from(text) : text);

describe('the record', () => {
  test.each<[what: string, records: string[], id: string | undefined]>([
    ['as most write it', ['v=STSv1; id=20160831085700Z;'], '20160831085700Z'],
    ['without blanks and last semicolon', ['v=STSv1;id=1'], '1'],
    ['with blanks before the semicolon', ['v=STSv1 \t; id=a1 ; '], 'a1'],
    ['with fields in any order', ['v=STSv1; ext=1; id=abc'], 'abc'],
    ['with fields that nobody knows', ['v=STSv1; id=abc; a.b-c_d=#x:<>!;'], 'abc'],
    ['with 32 characters of id', [`v=STSv1; id=${'a'.repeat(32)}`], 'a'.repeat(32)],
    ['with two ids, of which the first counts', ['v=STSv1; id=abc; id=def'], 'abc'],
    ['beside records of others', ['v=spf1 -all', 'v=STSv1; id=abc', 'v=STSv12; id=x', ' v=STSv1; id=y'], 'abc'],
    ['beside a version without fields', ['v=STSv1', 'v=STSv1; id=abc'], 'abc'],
    ['that is missing', [], undefined],
    ['of another version', ['v=STSv2; id=abc'], undefined],
    ['whose version is written in another case', ['V=stsv1; id=abc'], undefined],
    ['that stands there twice', ['v=STSv1; id=abc', 'v=STSv1; id=abc'], undefined],
    ['without an id', ['v=STSv1;'], undefined],
    ['with an empty id', ['v=STSv1; id=;'], undefined],
    ['with an id too long', [`v=STSv1; id=${'a'.repeat(33)}`], undefined],
    ['with an id that is a date with signs', ['v=STSv1; id=2019-04-29;'], undefined],
    ['with an id in quotes', ['v=STSv1; id="1";'], undefined],
    ['with an id in another alphabet', ['v=STSv1; id=١;'], undefined],
    ['with blanks around the equals sign', ['v=STSv1; id = abc;'], undefined],
    ['with a field that is none', ['v=STSv1; abc; id=1'], undefined],
    ['with a value that holds an equals sign', ['v=STSv1; id=1; a=b=c'], undefined],
    ['with a value that is empty', ['v=STSv1; id=1; a='], undefined],
    ['with nothing between two semicolons', ['v=STSv1; id=1;;'], undefined],
    ['with a second id that no id could be', ['v=STSv1; id=1; id=-'], '1'],
    ['with a second id that is empty', ['v=STSv1; id=1; id='], undefined],
    ['with control characters', ['v=STSv1; id=1; a=\u0007'], undefined],
  ])('%s', (_, records, id) => {
    expect(findStsId(records)).toBe(id);
  });

  test('of a million blanks or fields is read at once', () => {
    for (const piece of [' ', '\t;', ';', ' a=b;', '=']) {
      const began = process.cpuUsage();
      findStsId([`v=STSv1;${piece.repeat(200_000)}x`]);
      expect(process.cpuUsage(began).user).toBeLessThan(1_000_000);
    }
  });
});

describe('a policy file', () => {
  test.each(GOOD_POLICIES)('$what', ({ text, is, names = [], not = [] }) => {
    const policy = read(text) as PolicyFile;
    expect(policy).toMatchObject(is);
    for (const mx of names) expect(policyNames(policy, mx), mx).toBe(true);
    for (const mx of not) expect(policyNames(policy, mx), mx).toBe(false);
  });

  test.each(INVALID_POLICIES)('is none: $what', ({ text, because }) => {
    expect(read(text)).toEqual({ invalid: saying(because) });
  });

  test('is kept for reports as it was served, line by line', () => {
    const { text } = read('version: STSv1 \r\nmode:enforce\t\r\nmx: A.example.\r\nmax_age: 1\r\nx: ü\r\n\r\n') as PolicyFile;
    expect(text.split('\n')).toEqual(['version: STSv1', 'mode:enforce', 'mx: A.example.', 'max_age: 1', 'x: ü']);
  });

  test('of any bytes is a policy or none, in time that grows with their number', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        const result = parsePolicy(bytes);
        if ('invalid' in result) expect(result.invalid).toEqual(saying(/./));
        else expect(result.text).toEqual(expect.any(String));
      }),
      { numRuns: 500 },
    );
    const whole = 'version: STSv1\nmode: enforce\nmax_age: 1\nmx: a.example\n';
    for (const piece of [' ', '\t', '\n', '\r', ':', 'a: b \n', 'mx: *.a.example\n', 'a:'])
      for (const text of [piece.repeat(65_536 / piece.length), whole + piece.repeat(65_536 / piece.length)]) {
        const began = process.cpuUsage();
        read(text);
        expect(process.cpuUsage(began).user, JSON.stringify(piece)).toBeLessThan(1_000_000);
      }
  });
});

describe('which hosts a policy means', () => {
  const policy = { mx: ['mx1.example.org', '*.mail.example.org', '192.0.2.1', '*.0.2.1'] };
  test.each([
    ['mx1.example.org', true],
    ['a.mail.example.org', true],
    ['mx2.example.org', false],
    ['x.mx1.example.org', false],
    ['mail.example.org', false],
    ['a.b.mail.example.org', false],
    ['.mail.example.org', false],
    ['*.mail.example.org', true],
    ['example.org', false],
    ['org', false],
    ['', false],
    ['192.0.2.1', false],
    ['::1', false],
  ])('%s: %s', (mx, wanted) => {
    expect(policyNames(policy, mx)).toBe(wanted);
  });
});
