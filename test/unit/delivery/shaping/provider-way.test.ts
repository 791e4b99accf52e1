/** Which refusals stop the mail of a provider, and which that of one domain. */
import { expect, test } from 'vitest';
import { type Heard, ProviderWay } from '../../../../src/delivery/shaping/provider-way.ts';
import { HOUR, MINUTE } from '../../../../src/system/clock.ts';

const limits = { key: 'google', sessions: 5, perConnection: 50, perMinute: 60, firstRest: 10 * MINUTE };
const NO_PTR: Heard = {
  ...({ family: 4, kind: 'us', class: 'ptr-helo', verb: 'retry', sure: true, own: true } as const),
  reply: { code: 451, status: '4.7.23', text: 'The sending IP address has no PTR record' },
};

function started(key = 'google') {
  let now = 1_800_000_000_000;
  const way = new ProviderWay({ family: 4 }, () => ({ ...limits, key }), now);
  return {
    way,
    now: () => now,
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
  const doubted = (n: number, domain: string) => hear({ ...NO_PTR, sure: false, own: false, recipient: `u@g${n}.test`, domain });
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

const BANNED: Heard = {
  ...({ family: 4, kind: 'us', class: 'address-blocked', verb: 'hold', sure: true, own: true, phase: 'rcpt' } as const),
  ...{ reply: { code: 550, status: '5.7.606', text: 'Banned' }, domain: 'from.test' },
};
const NAMES_US: Heard = { ...BANNED, own: false, reply: { code: 550, status: '5.7.1', text: 'We take nothing from 192.0.2.1' } };
const DOUBTFUL: Heard = { ...NAMES_US, sure: false, reply: { code: 550, status: '5.7.1', text: 'Your network is not welcome' } };

test('the own words of a provider hold all its mail at once', () => {
  const { hear, kind } = started();
  hear({ ...BANNED, recipient: 'u@one.test' });
  expect(kind()).toBe('blocked');
});

test('words that name us, which one domain may have written, hold the mail of that domain until a second domain says so', () => {
  const { way, hear, kind, now } = started();
  for (let n = 0; n < 5; n++) hear({ ...NAMES_US, recipient: `u${n}@hostile.test`, domain: `from${n}.test` });
  expect(kind()).toBe('open');
  expect(way.recipientWaits('hostile.test', now())).toMatchObject({ domain: 'hostile.test', reply: { status: '5.7.1' } });
  expect(way.recipientWaits('other.test', now())).toBeUndefined();
  hear({ ...NAMES_US, recipient: 'u@other.test' });
  expect(kind()).toBe('blocked');
});

test('three recipients of one domain are not the provider, whoever writes to them; those of two domains are', () => {
  const { way, hear, kind, now } = started();
  for (let n = 0; n < 6; n++) hear({ ...DOUBTFUL, recipient: `u${n}@hostile.test`, domain: `from${n}.test` });
  expect(kind()).toBe('open');
  expect(way.recipientWaits('hostile.test', now())).toBeDefined();
  hear({ ...DOUBTFUL, recipient: 'u@other.test', domain: 'from.test' });
  expect(kind()).toBe('blocked');
});

test('doubtful words before any recipient was named are those of the provider', () => {
  const { hear, kind } = started();
  for (let n = 0; n < 3; n++) hear({ ...DOUBTFUL, own: true, recipient: `u${n}@one.test`, domain: `from${n}.test` });
  expect(kind()).toBe('blocked');
});

test('mail for a domain that refuses us waits an hour, then two, then four, and no longer once it takes a message', () => {
  const { way, hear, now } = started();
  const rest = () => (way.recipientWaits('hostile.test', now())?.until ?? now()) - now();
  for (const hours of [1, 2, 4, 4]) {
    hear({ ...NAMES_US, recipient: 'u@hostile.test' }, 5 * HOUR);
    expect(rest()).toBe(hours * HOUR);
    hear({ ...NAMES_US, recipient: 'v@hostile.test' }, 0);
    expect(rest()).toBe(hours * HOUR);
  }
  hear({ family: 4, kind: 'clean', recipient: 'u@hostile.test', domain: 'from.test' });
  expect(rest()).toBe(0);
  hear({ ...NAMES_US, recipient: 'u@hostile.test' });
  expect(rest()).toBe(HOUR);
});

test('a delivery between two domains that refuse us speaks for the provider', () => {
  const { hear, kind } = started();
  hear({ ...NAMES_US, recipient: 'u@one.test' });
  hear({ family: 4, kind: 'clean', recipient: 'u@good.test', domain: 'from.test' });
  hear({ ...NAMES_US, recipient: 'u@two.test' });
  expect(kind()).toBe('open');
});

test('a set of hosts that the table does not know hosts nobody else, so what it says is its own', () => {
  const { hear, kind } = started('mx:mx.one.test');
  hear({ ...NAMES_US, recipient: 'u@one.test' });
  expect(kind()).toBe('blocked');
});

test('a probe that is refused in doubtful words has met the block: the next one is later', () => {
  const { hear, kind, until, probe } = started();
  hear({ ...BANNED, recipient: 'u@one.test' });
  probe();
  hear({ ...DOUBTFUL, recipient: 'u@one.test' }, MINUTE, true);
  expect(kind()).toBe('blocked');
  expect(until()).toBe(4 * HOUR);
});

test('a probe that is refused later than the block was, for another reason, ends it; one that is refused before tells nothing', () => {
  const { hear, kind, until, probe } = started();
  hear({ ...BANNED, recipient: 'u@one.test' });
  probe();
  hear({ family: 4, kind: 'other', phase: 'mail' }, MINUTE, true);
  expect(kind()).toBe('blocked');
  expect(until()).toBe(30 * MINUTE);
  probe();
  hear({ family: 4, kind: 'other', phase: 'data' }, MINUTE, true);
  expect(kind()).toBe('half-open');
});
