/** Where TLSA records are looked for, and what comes of it: RFC 7672 §2.2. */
import { expect, test } from 'vitest';
import { data } from '../../../src/system/phrase.ts';
import { findDane, mayHaveDane } from '../../../src/tls-policy/dane.ts';
import { recordOf } from '../../support/chains.ts';

const GOOD = recordOf(`3 1 1 ${'ab'.repeat(32)}`);
const USELESS = recordOf(`0 0 1 ${'ab'.repeat(32)}`);
const REST = { name: '', trusted: true, ttl: 1000 } as const;
const found = (secure: boolean, ...values: (typeof GOOD)[]) => ({ kind: 'found', values, secure, ...REST }) as const;
const absent = (secure: boolean, kind: 'none' | 'nxdomain' = 'nxdomain') => ({ kind, secure, ...REST }) as const;
const FAILED = { kind: 'temporary', why: data('SERVFAIL') } as const;
const alias = (secure: boolean) => ({ kind: 'found', values: ['target.test'], secure, ...REST, name: 'mx.test' }) as const;

type Answers = Readonly<Record<string, ReturnType<typeof found> | ReturnType<typeof absent> | typeof FAILED>>;
type Alias = ReturnType<typeof alias> | ReturnType<typeof absent> | typeof FAILED;
const HOST = { name: 'mx.test', port: 25, secure: true, expanded: 'mx.test' };
const ALIASED = { ...HOST, expanded: 'target.test' };
const INSECURE_ALIAS = { ...ALIASED, secure: false };

async function find(host: typeof HOST, answers: Answers, cname: Alias = absent(false)) {
  const asked: string[] = [];
  const dns = {
    tlsa: async (name: string) => {
      asked.push(name);
      return answers[name] ?? absent(true);
    },
    cname: async (name: string) => {
      asked.push(`alias ${name}`);
      return cname;
    },
  };
  const { kind, ...finding } = await findDane(dns, host);
  return { kind, at: 'base' in finding ? finding.base : 'name' in finding ? finding.name : finding.why, asked };
}

const [AT_HOST, AT_TARGET] = ['_25._tcp.mx.test', '_25._tcp.target.test'];

test.each<readonly [string, typeof HOST, Answers, Alias | undefined, string, string, readonly string[]]>([
  ['proven records', HOST, { [AT_HOST]: found(true, GOOD) }, undefined, 'records', 'mx.test', [AT_HOST]],
  ['records that nobody can use', HOST, { [AT_HOST]: found(true, USELESS) }, undefined, 'unusable', 'mx.test', [AT_HOST]],
  ['some that can be used', HOST, { [AT_HOST]: found(true, USELESS, GOOD) }, undefined, 'records', 'mx.test', [AT_HOST]],
  ['records that are not proven', HOST, { [AT_HOST]: found(false, GOOD) }, undefined, 'none', 'absent', [AT_HOST]],
  ['a proven absence', HOST, { [AT_HOST]: absent(true) }, undefined, 'none', 'absent', [AT_HOST]],
  ['an absence that is not proven', HOST, { [AT_HOST]: absent(false, 'none') }, undefined, 'none', 'absent', [AT_HOST]],
  ['a failed look-up', HOST, { [AT_HOST]: FAILED }, undefined, 'failed', AT_HOST, [AT_HOST]],
  [
    'addresses that are not proven',
    { ...HOST, secure: false },
    { [AT_HOST]: found(true, GOOD) },
    undefined,
    'none',
    'insecure',
    [],
  ],
  [
    'records at the target of an alias',
    ALIASED,
    { [AT_TARGET]: found(true, GOOD) },
    undefined,
    'records',
    'target.test',
    [AT_TARGET],
  ],
  [
    'records at the alias alone',
    ALIASED,
    { [AT_HOST]: found(true, GOOD) },
    undefined,
    'records',
    'mx.test',
    [AT_TARGET, AT_HOST],
  ],
  [
    'a failure at the target',
    ALIASED,
    { [AT_TARGET]: FAILED, [AT_HOST]: found(true, GOOD) },
    undefined,
    'failed',
    AT_TARGET,
    [AT_TARGET],
  ],
  [
    'useless ones at the target',
    ALIASED,
    { [AT_TARGET]: found(true, USELESS), [AT_HOST]: found(true, GOOD) },
    undefined,
    'unusable',
    'target.test',
    [AT_TARGET],
  ],
  [
    'unproven ones at the target',
    ALIASED,
    { [AT_TARGET]: found(false, GOOD), [AT_HOST]: found(true, GOOD) },
    undefined,
    'records',
    'mx.test',
    [AT_TARGET, AT_HOST],
  ],
  ['none at either', ALIASED, {}, undefined, 'none', 'absent', [AT_TARGET, AT_HOST]],
  [
    'a proven alias into the unproven',
    INSECURE_ALIAS,
    { [AT_HOST]: found(true, GOOD) },
    alias(true),
    'records',
    'mx.test',
    ['alias mx.test', AT_HOST],
  ],
  [
    'an alias that is not proven',
    INSECURE_ALIAS,
    { [AT_HOST]: found(true, GOOD) },
    alias(false),
    'none',
    'insecure',
    ['alias mx.test'],
  ],
  ['an alias that is gone', INSECURE_ALIAS, {}, absent(true), 'none', 'insecure', ['alias mx.test']],
  ['an alias that cannot be looked up', INSECURE_ALIAS, {}, FAILED, 'failed', 'mx.test', ['alias mx.test']],
])('%s', async (_, host, answers, cname, kind, at, asked) => {
  expect(await find(host, answers, cname)).toEqual({ kind, at, asked });
});

test('the port of the connection is asked for', async () => {
  expect((await find({ ...HOST, port: 2525 }, {})).asked).toEqual(['_2525._tcp.mx.test']);
});

test('there is no look-up for a host without proof and without alias', () => {
  expect(mayHaveDane(HOST.name, { ...HOST, secure: false })).toBe(false);
  expect(mayHaveDane(HOST.name, HOST)).toBe(true);
  expect(mayHaveDane(INSECURE_ALIAS.name, INSECURE_ALIAS)).toBe(true);
});
