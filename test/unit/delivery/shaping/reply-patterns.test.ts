import { describe, expect, test } from 'vitest';
import {
  foldText,
  matchesPattern,
  PatternIndex,
  parsePattern,
  type ReplyPattern,
} from '../../../../src/delivery/shaping/reply-patterns.ts';

function pattern(text: string): ReplyPattern {
  const parsed = parsePattern(text);
  if (typeof parsed === 'string') throw new Error(parsed);
  return parsed;
}

describe('a pattern', () => {
  test.each([
    ['blocked using', 'Client host BLOCKED  using zen', true],
    ['blocked using', 'blocked by zen', false],
    ['messages from * deferred', 'Messages from 192.0.2.1 temporarily deferred', true],
    ['messages from * deferred', 'deferred messages from 192.0.2.1', false],
    ['messages from * deferred', `messages from ${'x'.repeat(198)} deferred`, true],
    ['messages from * deferred', `messages from ${'x'.repeat(300)} deferred`, false],
    ['messages from * deferred', `messages from ${'x'.repeat(300)} messages from here deferred`, true],
    ['a code SFR_IN_{code}', 'A code SFR_IN_101 here', true],
    ['a code SFR_IN_{code}', 'A code SFR_IN_ here', false],
    ['from [{ip}] no', 'from [192.0.2.25] no', true],
    ['from [{ip}] no', 'from [2001:db8::25] no', true],
    ['from [{ip}] no', 'from [host] no', false],
    ['Boîte pleine', 'BOITE PLEINE', true],
    ["domain's policy", 'the domain’s policy', true],
  ])('%s in %s: %s', (text, said, expected) => {
    expect(matchesPattern(pattern(text), foldText(said))).toBe(expected);
  });

  test('{ip} is one of our addresses where they are known', () => {
    expect(matchesPattern(pattern('from {ip} no'), 'from 192.0.2.25 no', ['192.0.2.25'])).toBe(true);
    expect(matchesPattern(pattern('from {ip} no'), 'from 192.0.2.26 no', ['192.0.2.25'])).toBe(false);
  });

  test.each(['', '*', '* text', 'text *', 'text ** text', '{ip} is listed', 'ab * cd', '{code}'])('%j is none', (text) => {
    expect(typeof parsePattern(text)).toBe('string');
  });

  // A search that takes twice as long for each character, or the square of them, would not end here.
  test('a search of a long text that the pattern nearly fits comes to its end', () => {
    expect(matchesPattern(pattern('aa * aa * aa * aa * aa * aab'), 'a'.repeat(1_000_000))).toBe(false);
  });
});

test('an index finds what a search of each pattern finds, in the order of the patterns', () => {
  const texts = ['mailbox full', 'mailbox', 'user * unknown', 'user unknown', 'OFR_{code}', 'full'];
  const index = new PatternIndex(texts.map((text) => [pattern(text), text] as const));
  for (const said of ['mailbox full', 'the user foo is unknown', 'user unknown', 'xx ofr_12 full', 'fu ll', '', 'x']) {
    expect(index.find(said, []), said).toEqual(texts.filter((text) => matchesPattern(pattern(text), said)));
  }
});
