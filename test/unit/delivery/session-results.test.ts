/** What a report about TLS quotes of a host's greeting: RFC 5321 §4.2. */
import { expect, test } from 'vitest';
import { nameInGreeting } from '../../../src/delivery/session-results.ts';

test.each([
  ['a domain', ['mx1.Dest.example ESMTP ready'], 'mx1.Dest.example'],
  ['a domain alone', ['mx1.dest.example'], 'mx1.dest.example'],
  ['the first line of several', ['mx_1.dest.example', 'No spam'], 'mx_1.dest.example'],
  ['the literal of an IPv4 address', ['[192.0.2.1] ready'], '[192.0.2.1]'],
  ['the literal of an IPv6 address', ['[IPv6:2001:db8::1] ready'], '[IPv6:2001:db8::1]'],
  ['the longest domain', [`${'a'.repeat(255)} ready`], 'a'.repeat(255)],
])('the name in a greeting is %s', (_, lines, name) => {
  expect(nameInGreeting({ lines })).toBe(name);
});

test.each([
  ['stars', '*************'],
  ['nothing', ''],
  ['a blank first', ' mx.dest.example'],
  ['a name that is too long', `${'a'.repeat(256)} ready`],
  ['controls', 'mx\u001b[31m.dest.example ready'],
  ['octets beyond ASCII', 'mx.d\u00e9st.example ready'],
  ['markup', '<b>mx</b> ready'],
])('a greeting with %s has no name', (_, line) => {
  expect(nameInGreeting({ lines: [line] })).toBeUndefined();
});
