import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseAddressList } from '../../../src/preparation/address-list.ts';

function addresses(text: string): string | readonly string[] {
  const list = parseAddressList(text);
  return typeof list === 'string' ? list : list.map(({ address }) => address);
}

describe('RFC 5322 §3.4: address lists', () => {
  test.each([
    ['ann@sender.test', ['ann@sender.test']],
    ['<ann@sender.test>', ['ann@sender.test']],
    ['Ann Author <ann@SENDER.Test>', ['ann@sender.test']],
    ['"Author, Ann" <Ann@sender.test>, bo@x.test', ['Ann@sender.test', 'bo@x.test']],
    ['ann@sender.test (Ann (the real) Author)', ['ann@sender.test']],
    ['"a\\"b <eve@evil.test>" <ann@sender.test>', ['ann@sender.test']],
    ['(<eve@evil.test>) ann@sender.test', ['ann@sender.test']],
    ['ann@sender.test <ann@sender.test>', ['ann@sender.test']],
    ['ann @ sender . test', ['ann@sender.test']],
    ['"john doe"@sender.test', ['"john doe"@sender.test']],
    ['"john.doe"@sender.test', ['john.doe@sender.test']],
    ['"a\\"b"@sender.test', ['"a\\"b"@sender.test']],
    ['', []],
    [', ann@sender.test,,', ['ann@sender.test']],
    ['ann@münchen.test', ['ann@xn--mnchen-3ya.test']],
    ['ann@MÜNCHEN.test', ['ann@xn--mnchen-3ya.test']],
    ['jürgen@sender.test', ['jürgen@sender.test']],
    ['ann@[192.0.2.1]', ['ann@[192.0.2.1]']],
    ['ann@my_host.local', ['ann@my_host.local']],
    ['a..b.@docomo.test', ['"a..b."@docomo.test']],
    ['ann@sender.test <Ann@Sender.test>', ['Ann@sender.test']],
    ['"ceo@bank.example" <ann@sender.test>', ['ann@sender.test']],
    ['[Ticket 5] DOMAIN\\ann <ann@sender.test>', ['ann@sender.test']],
    ['ann@straße.test', ['ann@xn--strae-oqa.test']],
    ['John Q. Public <ann@sender.test>', ['ann@sender.test']],
    ['Ann <ann@sender.test> (comment)', ['ann@sender.test']],
    ['=?utf-8?q?Ann=2C?= <ann@sender.test>', ['ann@sender.test']],
  ])('%j', (text, expected) => {
    expect(addresses(text)).toEqual(expected);
  });

  test.each([
    'ann',
    'root (Cron Daemon)',
    'ann@',
    '@sender.test',
    'ann@a@b.test',
    'ann@sender.test>',
    '<ann@sender.test> <eve@evil.test>',
    '<ann@sender.test> eve@evil.test',
    'ann@sender.test eve@evil.test',
    '<>',
    'Ann <>',
    'ann@sender..test',
    'ann@"sender.test"',
    'ann b@sender.test',
    'ann\u0001@sender.test',
    ';',
    'x.(y)ceo@bank.example',
    'x. ceo@bank.example',
    'ann@sender.test.[192.0.2.1]',
    'ann@[ceo@bank.example]',
    'app@(y)sender.test',
    '\\ann@sender.test',
    'a\\"ceo@bank.example" <ann@sender.test>',
    'ceo\u2028ann@sender.test',
    'ceo\u0085ann@sender.test',
    'ann\u00a0@sender.test',
    'an\u00adn@sender.test',
    'ann@sender.test\u2028',
    'ann@bank.example%.sender.test',
    "ann@bank.example'.sender.test",
  ])('%j is none', (text) => {
    expect(addresses(text)).toBe('syntax');
  });

  test.each([
    ['not closed', '<ann@sender.test', '<<ann@sender.test>>', '"ann@sender.test', '(ann@sender.test', 'ann@[1.2.3.4'],
    ['colon', 'ceo@bank.example: ann@sender.test;', 'Staff: ann@sender.test, Bo <bo@x.test>;', 'Nobody:;', 'A: B: a@b.test;;'],
    ['colon', 'Group: ann@sender.test', 'Re: your mail <ann@sender.test>', 'a@x.test, B: b@x.test;'],
    ['route', '<@a.test,@b.test:ann@sender.test>', 'ceo@bank.example <@a.test:ann@sender.test>', '<@ceo:ann@sender.test>'],
    ['at sign', 'ceo@bank.example <ann@sender.test>', 'ceo @ bank.example <ann@sender.test>', '@ <ann@sender.test>'],
    ['at sign', '=?utf-8?q?ceo@bank.example?= <ann@sender.test>', '[ceo@bank.example] <ann@sender.test>'],
    ['brackets', '[",]"ceo@bank.example,"[" ] <ann@sender.test>', '["] <ann@sender.test>', '[a: b] <ann@sender.test>'],
    ['brackets', '[a, b] <ann@sender.test>', '[\\"] <ann@sender.test>', 'A [(] B <ann@sender.test> (c)'],
    ['encoded', '=?utf-8?q?ceo=40bank.example?=@sender.test', '<"=?utf-8?q?ceo=40bank.example?="@sender.test>'],
    ['encoded', '=?utf-8?q?ceo=40bank.example=2C?=x@sender.test', 'ann@=?utf-8?q?bank.example?=.sender.test'],
    ['at sign', '"x" ceo@bank.example <ann@sender.test>', '"ceo@bank.example x"@sender.test', '"<ceo"@sender.test'],
    [
      'parenthesis',
      'a) ceo@bank.example <ann@sender.test>',
      'Ann) <ann@sender.test>',
      '(a)) ann@sender.test',
      'x]ann@sender.test',
    ],
    ['look-alike', 'ann@sender。test', 'ann@sender．test', 'ann@ｓender.test', 'ann@sen\u00adder.test', 'ann@sender｡test'],
    ['comma', 'Author, Ann <ann@sender.test>', 'ann@sender.test, Bo'],
  ] as const)('who reads another address in it hears of the %s', (problem, ...texts) => {
    for (const text of texts) expect(addresses(text), text).toBe(problem);
  });

  test('a plain address is read as any other text is: a blank behind it changes nothing', () => {
    const word = fc.constantFrom(
      'ann',
      'Ann',
      'b.c',
      'd..e',
      '1',
      'x_y',
      'a+b',
      '-',
      '=?utf-8?q?x?=',
      'sender.test',
      '1.2.3.4',
      'T',
      '',
    );
    const mark = fc.constantFrom(' ', '  ', '<', '>', '@', '.', ' <', '"', ',');
    fc.assert(
      fc.property(fc.array(fc.oneof(word, mark), { maxLength: 8 }), (pieces) => {
        const text = pieces.join('');
        expect(parseAddressList(text)).toEqual(parseAddressList(`${text} `));
      }),
      { numRuns: 3000 },
    );
    for (const text of [
      'Ann B <ann@sender.test>',
      '<a.b@C.test>',
      'a+b@c.test',
      'a@b',
      'a@1.2.3.4',
      'a@-b.test',
      'a@b..c',
      'a@b.',
      '<a@sender.test.>',
      'A <a@b>c',
    ])
      expect(parseAddressList(text), text).toEqual(parseAddressList(`${text} `));
  });

  test('the phrase is kept as it is written', () => {
    expect(parseAddressList('"Author, Ann" <ann@sender.test>')).toEqual([
      { address: 'ann@sender.test', phrase: '"Author, Ann"' },
    ]);
    expect(parseAddressList('x@y.test, Bo B. <bo@sender.test>')).toMatchObject([{ phrase: '' }, { phrase: 'Bo B.' }]);
  });

  test.each([
    ['labels', `a@${'a.'.repeat(50_000)}`],
    ['open comments', '('.repeat(65_536)],
    ['comments', '()'.repeat(65_536)],
    ['quotes and backslashes', '"\\'.repeat(32_768)],
    ['angle brackets', '<'.repeat(65_536)],
    ['pairs of brackets', '<>'.repeat(32_768)],
    ['commas', ','.repeat(65_536)],
    ['colons', 'a:'.repeat(32_768)],
    ['groups', 'a:;'.repeat(32_768)],
    ['blanks', `a${' '.repeat(65_536)}@b`],
    ['at signs', '@'.repeat(65_536)],
    ['20 000 addresses', 'some.one@example.org, '.repeat(20_000)],
    ['letters of other scripts', `a@${'ü'.repeat(65_536)}`],
    ['literals', '['.repeat(65_536)],
    ['atoms', 'a '.repeat(65_536)],
  ])('a bomb of %s takes time that grows with its length and no faster', (_, text) => {
    const cost = (input: string) => {
      const start = process.cpuUsage();
      for (let i = 0; i < 4; i++) parseAddressList(input);
      const { user, system } = process.cpuUsage(start);
      return user + system;
    };
    parseAddressList(text);
    const part = cost(text.slice(0, text.length / 8));
    // 8 times where it is linear, 64 where it is quadratic; the constant forgives a pause of the machine
    expect(cost(text)).toBeLessThan(24 * part + 200_000);
  });
});
