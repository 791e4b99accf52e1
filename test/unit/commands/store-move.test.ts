/** Where `store move --to` carries the data. */
import { expect, test } from 'vitest';
import { parseTarget } from '../../../src/commands/store-move.ts';

test('a place is a database with its servers and settings, or a directory', () => {
  expect(parseTarget('sqlite:/var/lib/smarthost')).toEqual({ store: 'sqlite', dataDir: '/var/lib/smarthost' });
  expect(parseTarget('postgres://db1.example')).toEqual({ dataDir: '', store: { postgres: ['db1.example'] } });
  expect(parseTarget('postgresql://mail@db1.example,[::1]:5433/queue?passwordFile=/a/b&tls=none&durability=one')).toEqual({
    dataDir: '',
    store: {
      ...{ postgres: ['db1.example', '[::1]:5433'], database: 'queue', user: 'mail' },
      ...{ passwordFile: '/a/b', tls: 'none', durability: 'one' },
    },
  });
});

test.each([
  ['sqlite:data', '--to must be'],
  ['mysql://db1.example/queue', '--to must be'],
  ['postgres:///queue', '--to must be'],
  ['postgres://mail:geheim@db1.example/queue', '--to must have no password'],
  ['postgres://db1.example/queue?password=geheim', '--to knows passwordFile, tls, ca, durability, node, and not password'],
  ['postgres://db1.example/queue?tls=maybe', '--to: tls is none or encrypt or verify, not maybe'],
])('%s is refused in words, without its password', (text, sentence) => {
  expect(() => parseTarget(text)).toThrow(sentence);
  expect(() => parseTarget(text)).not.toThrow('geheim');
});
