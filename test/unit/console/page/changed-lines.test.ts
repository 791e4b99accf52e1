import { expect, test } from 'vitest';
import { changedLines } from '../../../../src/console/page/changed-lines.ts';

const text = (before: unknown, after: unknown) => changedLines(before, after).map(({ sign, text }) => `${sign}${text}`);

test('shows the changed fields as removed and added lines, and the others as they are', () => {
  expect(text({ name: 'shop', disabled: false }, { name: 'shop', disabled: true })).toEqual([
    ' name: shop',
    '-disabled: false',
    '+disabled: true',
  ]);
});

test('shows one more entry of a list as one line', () => {
  expect(text({ senders: ['@a.example'] }, { senders: ['@a.example', 'b@c.example'] })).toEqual([
    ' senders: @a.example',
    '+senders: b@c.example',
  ]);
});

test('shows what is new and what is gone, with the way to fields inside', () => {
  expect(text(null, { limits: [{ kind: 'messages', count: 5 }], traits: { bulk: true } })).toEqual([
    '+limits: kind messages, count 5',
    '+traits.bulk: true',
  ]);
  expect(text(null, [{ selector: 's1', state: 'active' }])).toEqual(['+selector s1, state active']);
  expect(text({ name: 'shop' }, null)).toEqual(['-name: shop']);
  expect(text({ expiresAt: null }, { expiresAt: '2027-01-01' })).toEqual(['+expiresAt: 2027-01-01']);
  expect(text(null, null)).toEqual([]);
});
