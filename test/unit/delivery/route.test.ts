import { expect, test } from 'vitest';
import { candidateRoutes, catchAll, destinationOf, parseHost, signs } from '../../../src/delivery/route.ts';
import { matchesDomain } from '../../../src/smtp/domain.ts';

test.each([
  ['*', 'any.test', true],
  ['example.org', 'example.org', true],
  ['Example.ORG', 'example.org', true],
  ['example.org', 'a.example.org', false],
  ['.example.org', 'a.example.org', true],
  ['.example.org', 'a.b.example.org', true],
  ['.example.org', 'example.org', false],
  ['*.example.org', 'a.example.org', true],
  ['*.example.org', 'example.org', false],
  ['example.org', 'badexample.org', false],
  ['.example.org', 'badexample.org', false],
])('%s and %s: %s', (pattern, domain, expected) => {
  expect(matchesDomain(pattern, domain)).toBe(expected);
});

const mail = { user: 'alice', reversePath: 'alice@sender.test' };
const routes = [
  { recipientDomain: 'a.test', senderDomain: 'sender.test', hosts: ['one.test:587'] },
  { user: 'bob', hosts: ['two.test:465'] },
  { mx: '.google.test', hosts: ['three.test:25'] },
  { recipientDomain: '*.b.test', hosts: ['four.test:25', 'five.test:25'] },
];

test('the first route whose every condition holds is taken', () => {
  expect(destinationOf(routes, mail, 'x@A.test')).toBe('route:one.test:587');
  expect(destinationOf(routes, { ...mail, reversePath: '' }, 'x@a.test')).toBe('a.test');
  expect(destinationOf(routes, { ...mail, user: 'bob' }, 'x@c.test')).toBe('route:two.test:465');
  expect(destinationOf(routes, { ...mail, user: null }, 'x@c.test')).toBe('c.test');
  expect(destinationOf([], mail, 'x@C.Test')).toBe('c.test');
});

test('a route by MX is a candidate until the MX is known, and the mail is grouped by domain', () => {
  expect(candidateRoutes(routes, mail, 'x@y.b.test').map(({ hosts }) => hosts[0])).toEqual(['three.test:25', 'four.test:25']);
  expect(destinationOf(routes, mail, 'x@y.b.test')).toBe('y.b.test');
});

test('a route without a condition takes all mail that is left', () => {
  const all = { hosts: ['up.test'] };
  const some = { hosts: ['up.test'], recipientDomain: 'a.test' };
  expect(catchAll([some, all])).toBe(all);
  expect(catchAll([some])).toBeUndefined();
  expect(catchAll([{ ...all, recipientDomain: '*', senderDomain: '*' }])).toBeDefined();
  for (const condition of [{ user: 'anna' }, { mx: '*' }, { senderDomain: 'b.test' }, { hosts: [] }])
    expect(catchAll([{ ...all, ...condition }])).toBeUndefined();
});

test('a route says whether its mail is signed, if the route is known when mail is accepted', () => {
  const unsigned = [
    { mx: '.google.test', hosts: ['three.test:25'], sign: false },
    { recipientDomain: 'b.test', hosts: ['four.test:25'] },
    { hosts: ['one.test:587'], sign: false },
  ];
  expect(signs(unsigned.slice(1), mail, 'x@c.test')).toBe(false);
  expect(signs(unsigned.slice(1), mail, 'x@b.test')).toBe(true);
  expect(signs(unsigned, mail, 'x@c.test'), 'nobody knows the MX yet').toBe(true);
  expect(signs([], mail, 'x@c.test')).toBe(true);
});

test.each([
  ['smtp.example.com:587', 'smtp.example.com', 587],
  ['SMTP.example.com', 'smtp.example.com', 25],
  ['[2001:db8::1]:465', '2001:db8::1', 465],
  ['[::1]', '::1', 25],
  ['192.0.2.1:2525', '192.0.2.1', 2525],
])('%s is %s and %i', (text, name, port) => {
  expect(parseHost(text)).toEqual({ name, port });
});
