/** What temporary refusals of our name do to a provider. */
import { expect, test } from 'vitest';
import { type Heard, ProviderWay } from '../../../../src/delivery/shaping/provider-way.ts';
import { HOUR, MINUTE } from '../../../../src/system/clock.ts';

const limits = { key: 'google', sessions: 5, perConnection: 50, perMinute: 60, firstRest: 10 * MINUTE };
const NO_PTR: Heard = {
  ...({ family: 4, kind: 'us', class: 'ptr-helo', verb: 'retry', sure: true } as const),
  reply: { code: 451, status: '4.7.23', text: 'The sending IP address has no PTR record' },
};

function started() {
  let now = 1_800_000_000_000;
  const way = new ProviderWay({ family: 4 }, () => limits, now);
  return {
    way,
    kind: () => way.state(now).kind,
    until: () => way.state(now).until - now,
    hear: (heard: Heard, after = MINUTE, probe = false) => way.hear(heard, { beganAt: (now += after), probe, now }),
    probe() {
      now += way.state(now).until - now;
      way.beginProbe('', now);
    },
  };
}

test('three within an hour are a block, and its cause is kept', () => {
  const { way, hear, kind } = started();
  hear(NO_PTR);
  hear(NO_PTR);
  expect(kind()).toBe('open');
  hear(NO_PTR);
  expect(kind()).toBe('blocked');
  expect(way.cause).toMatchObject({ class: 'ptr-helo', reply: { status: '4.7.23' } });
});

test('those that are older, or before a message that was taken, do not count', () => {
  const { hear, kind } = started();
  hear(NO_PTR);
  hear(NO_PTR);
  hear(NO_PTR, HOUR);
  hear({ family: 4, kind: 'clean' });
  hear(NO_PTR);
  hear(NO_PTR);
  expect(kind()).toBe('open');
});

test('where the words leave a doubt, they must concern three recipients and two domains', () => {
  const { hear, kind } = started();
  const doubted = (n: number, domain: string) => hear({ ...NO_PTR, sure: false, recipient: `u${n}@g.test`, domain });
  for (let n = 0; n < 4; n++) doubted(n, 'one.test');
  expect(kind()).toBe('open');
  doubted(4, 'two.test');
  expect(kind()).toBe('blocked');
});

test('a probe that is told the same leaves the block, and the next one is later', () => {
  const { hear, kind, until, probe } = started();
  for (let i = 0; i < 3; i++) hear(NO_PTR);
  probe();
  hear(NO_PTR, MINUTE, true);
  expect(kind()).toBe('blocked');
  expect(until()).toBe(4 * HOUR);
});
