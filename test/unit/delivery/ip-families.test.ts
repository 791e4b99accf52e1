import { expect, test } from 'vitest';
import { createIpFamilies } from '../../../src/delivery/ip-families.ts';
import type { Dns, DnsAnswer } from '../../../src/dns/dns.ts';
import { HOUR, MINUTE } from '../../../src/system/clock.ts';
import { data } from '../../../src/system/phrase.ts';

const OURS = '2001:db8::25';
const NAME = 'relay.example.net';
const TIMED_OUT = { kind: 'temporary', why: data('timeout') } as const;

/** Answers that a test changes; each question is counted. */
function startFamilies(ptr: DnsAnswer<string>, aaaa: DnsAnswer<string> = { kind: 'found', values: [OURS] }) {
  const answers = { ptr, aaaa };
  const clock = { now: 1_700_000_000_000 };
  let asked = 0;
  const nothing = async () => ({ kind: 'none' }) as const;
  const dns: Dns = {
    ...{ mx: nothing, a: nothing, txt: nothing },
    aaaa: async () => answers.aaaa,
    ptr: async () => {
      asked++;
      return answers.ptr;
    },
  };
  const families = createIpFamilies({ dns, hostname: NAME, source: [OURS], now: () => clock.now });
  return { families, answers, clock, asked: () => asked };
}

const answered = () => new Promise(setImmediate);
const FITS = { kind: 'found', values: [NAME] } as const;

test('after a time-out about our own PTR record, IPv6 stays on if it was on', async () => {
  const { families, answers, clock } = startFamilies(FITS);
  expect(await families.order('auto')).toEqual([6, 4]);
  answers.ptr = TIMED_OUT;
  for (let i = 0; i < 100; i++) {
    clock.now += HOUR;
    expect(await families.order('auto')).toEqual([6, 4]);
    await answered();
  }
  answers.ptr = { kind: 'found', values: ['other.example.net'] };
  clock.now += HOUR;
  await families.order('auto');
  await answered();
  expect(await families.order('auto')).toEqual([4]);
});

test('after a time-out about our own host name, IPv6 stays on if it was on', async () => {
  const { families, answers, clock } = startFamilies(FITS);
  await families.order('auto');
  answers.aaaa = TIMED_OUT;
  clock.now += 2 * HOUR;
  await families.order('auto');
  await answered();
  expect(await families.order('auto')).toEqual([6, 4]);
});

test('before the first answer of the DNS only IPv4 is used, and the DNS is asked again after a minute', async () => {
  const { families, answers, clock } = startFamilies(TIMED_OUT);
  expect(await families.order('auto')).toEqual([4]);
  answers.ptr = FITS;
  expect(await families.order('auto')).toEqual([4]);
  clock.now += MINUTE;
  await families.order('auto');
  await answered();
  expect(await families.order('auto')).toEqual([6, 4]);
});

test('a negative answer counts more than a time-out', async () => {
  const { families, answers, clock } = startFamilies(FITS);
  await families.order('auto');
  answers.ptr = { kind: 'nxdomain' };
  answers.aaaa = TIMED_OUT;
  clock.now += HOUR;
  await families.order('auto');
  await answered();
  expect(await families.order('auto')).toEqual([4]);
});

test('a clock that was set back by a year does not keep the DNS from being asked', async () => {
  const { families, clock, asked } = startFamilies(FITS);
  await families.order('auto');
  clock.now -= 365 * 24 * HOUR;
  await families.order('auto');
  await answered();
  expect(asked()).toBe(2);
  await families.order('auto');
  expect(asked()).toBe(2);
});

test('a hundred messages at once ask the DNS once', async () => {
  const { families, asked } = startFamilies(FITS);
  await Promise.all(Array.from({ length: 100 }, () => families.order('auto')));
  expect(asked()).toBe(1);
});
