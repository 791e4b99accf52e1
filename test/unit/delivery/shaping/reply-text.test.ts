import { expect, test } from 'vitest';
import { fingerprintOf, parseReplyText } from '../../../../src/delivery/shaping/reply-text.ts';

test.each([
  ['550 5.1.1 No such user', 550, '5.1.1', 'No such user'],
  ['550-5.1.1 No such\r\n550 5.1.1 user', 550, '5.1.1', 'No such user'],
  ['421-Too\n421 many', 421, '', 'Too many'],
  ['554', 554, '', ''],
  ['5xx AUP#I-1000', 554, '', 'AUP#I-1000'],
  ['4xx - DYN:T1', 450, '', 'DYN:T1'],
  ['550 - Go away', 550, '', 'Go away'],
  ['smtp;550 5.7.1 No', 550, '5.7.1', 'No'],
  ['<a@a.test>: 550 #5.1.0 Address rejected.', 550, '5.1.0', 'Address rejected.'],
  ['4.2.2 mailbox full', 450, '4.2.2', 'mailbox full'],
  ['mailbox full', 554, '', 'mailbox full'],
  ['', 554, '', ''],
])('%j is read as a reply', (text, code, status, said) => {
  expect(parseReplyText(text)).toEqual({ code, status, text: said });
});

test('replies that differ in addresses, names, links, numbers and ids have one fingerprint, others do not', () => {
  const of = (text: string) => fingerprintOf(parseReplyText(text));
  const one = of('550 5.7.1 <a@a.test> refused by mx1.a.test, see https://a.test/x?y=1 (id 4f-77, 192.0.2.1)');
  expect(one).toBe('550 5.7.1 <> refused by host, see url (id #, #)');
  expect(of('550 5.7.1 <b@b.test> refused by mx2.b.test, see http://b.test (id 9, 2001:db8::1)')).toBe(one);
  expect(of('550 5.7.1 <b@b.test> accepted by mx2.b.test')).not.toBe(one);
  expect(of(`550 ${'x'.repeat(5000)}`).length).toBeLessThanOrEqual(120);
});
