import { expect, test } from 'vitest';
import { isResolvable } from '../../../src/dns/message.ts';

test.each([
  ['example.org', true],
  ['_dmarc.example.org', true],
  ['xn--bcher-kva.example', true],
  ['', false],
  ['.', false],
  ['a..b', false],
  [`${'a'.repeat(64)}.org`, false],
  [`${'a.'.repeat(127)}a`, false],
  ['bücher.example', false],
  ['a b.example', false],
])('%j can be asked for: %s', (name, expected) => {
  expect(isResolvable(name)).toBe(expected);
});
