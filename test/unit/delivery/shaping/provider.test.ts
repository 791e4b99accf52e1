/** Which provider a host belongs to, and the files of providers. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { loadProviders, ProviderFileError, providerOf } from '../../../../src/delivery/shaping/provider.ts';
import { HOUR, MINUTE } from '../../../../src/system/clock.ts';

const shipped = loadProviders();
const keyOf = (...names: string[]) => providerOf(shipped, names)?.key;

/** Loads a file of the operator. */
function load(text: string) {
  const folder = mkdtempSync(join(tmpdir(), 'providers-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, 'providers.local.tsv');
  writeFileSync(file, text);
  return loadProviders(file);
}

function mistakes(text: string): readonly string[] {
  try {
    load(text);
  } catch (error) {
    if (!(error instanceof ProviderFileError)) throw error;
    return error.problems.map(({ line, column, message }) => `${line}:${column} ${message}`);
  }
  return [];
}

describe('the shipped table', () => {
  test.each(shipped.providers.flatMap((provider) => provider.mx.map((name) => [name, provider.key] as const)))(
    'a host below %s is one of %s and of no other provider',
    (name, key) => {
      const host = name.replace('*', 'xn--w');
      expect(keyOf(host)).toBe(key);
      expect(keyOf(`mx1.some.${host}`)).toBe(key);
      expect(keyOf(`not${host}`), 'only whole labels count').not.toBe(key);
      expect(keyOf(`${host}.example`)).toBeUndefined();
    },
  );

  test('each line has a source, the day on which it was read, and limits that a small sender keeps', () => {
    for (const { key, source, read, sessions, perConnection, perMinute, firstRest } of shipped.providers) {
      expect(source, key).not.toBe('');
      expect(read, key).toMatch(/^20\d\d-\d\d-\d\d$/);
      expect(sessions, key).toBeLessThanOrEqual(5);
      expect(perConnection, key).toBeLessThanOrEqual(100);
      expect(perMinute, key).toBeLessThanOrEqual(600);
      expect(firstRest, key).toBeGreaterThanOrEqual(10 * MINUTE);
      expect(firstRest, key).toBeLessThanOrEqual(2 * HOUR);
    }
  });

  test.each([
    ['t7.mail.protection.outlook.com', 'microsoft365'],
    ['contoso-com.e-v1.mx.microsoft', 'microsoft365'],
    ['outlook-com.olc.protection.outlook.com', 'outlook'],
    ['mta5.am0.yahoodns.net', 'yahoo'],
    ['ASPMX.L.Google.com', 'google'],
    ['mx00.ionos.co.uk', 'gmx'],
    ['mx01.ionos.fr', 'gmx'],
    ['inbound-smtp.eu-west-1.amazonaws.com', 'amazonses'],
    ['mx.ionos.click', undefined],
    ['mx.spamexperts.example', undefined],
    ['mx.example.org', undefined],
    ['amazonaws.com', undefined],
    ['com', undefined],
    ['', undefined],
  ])('%s: %s', (host, key) => {
    expect(keyOf(host)).toBe(key);
  });

  test('hosts of two providers in one set belong to the same provider in any order', () => {
    expect(keyOf('mx.zoho.com', 'mx.yandex.ru')).toBe(keyOf('mx.yandex.ru', 'mx.zoho.com'));
    expect(keyOf('mx.own.example', 'mx.yandex.ru')).toBe('yandex');
  });

  test.each([
    'static.4.3.2.1.clients.your-server.de',
    'ip-192-0-2-7.ip.secureserver.net',
    'c-73-1-2-3.hsd1.ca.comcast.net',
    'lfbn-nic-1-2-3-4.w1-2.abo.wanadoo.fr',
    'my-home.hd.free.fr',
    'vps-4711.dedicated.hosteurope.de',
    'relay.mcs.mail.ru',
    'host-17.res.spectrum.net',
  ])('%s is a machine of a customer, not of the provider', (host) => expect(keyOf(host)).toBeUndefined());
});

describe("the operator's file", () => {
  test('adds a provider, with defaults for what it does not say', () => {
    const table = load('# ours\n\nkey\tmx\nnordic\tmx.nordic.example  .nordic.test\n');
    const found = providerOf(table, ['a.mx.nordic.example']);
    expect(found).toMatchObject({
      key: 'nordic',
      sessions: 5,
      perMinute: 60,
      firstRest: 10 * MINUTE,
      ipv6: 'try',
      origin: 'local',
    });
    expect(providerOf(table, ['x.nordic.test'])?.key).toBe('nordic');
    expect(providerOf(table, ['mta5.am0.yahoodns.net'])?.key).toBe('yahoo');
  });

  test('replaces values of ours and keeps those that it leaves out', () => {
    const table = load('yahoo\t-\t2\t-\t10\t1h\r\n');
    expect(providerOf(table, ['mta5.am0.yahoodns.net'])).toMatchObject({
      ...{ sessions: 2, perConnection: 20, perMinute: 10, firstRest: HOUR, origin: 'local' },
      removal: 'https://senders.yahooinc.com/contact',
    });
    expect(table.providers.filter(({ key }) => key === 'yahoo')).toHaveLength(1);
  });

  test('takes hosts away from ours, and switches a provider off', () => {
    const table = load('vip\tvip.mail.protection.outlook.com\t10\nyahoo\toff\n');
    expect(providerOf(table, ['vip.mail.protection.outlook.com'])?.key).toBe('vip');
    expect(providerOf(table, ['other.mail.protection.outlook.com'])?.key).toBe('microsoft365');
    expect(providerOf(table, ['mta5.am0.yahoodns.net'])).toBeUndefined();
  });

  test('no name may leave its top level open: anybody may register such a name', () => {
    expect(mistakes('nordic\tmx.nordic.*')).toEqual([
      '1:8 mx: "mx.nordic.*" fits names that anybody may register: write each top level',
    ]);
  });

  test('each mistake has its line and column', () => {
    expect(
      mistakes(
        [
          '# ours',
          'Yahoo\t-',
          'yahoo\t-\tmany\t-\t0',
          'new\t-\t5',
          'odd\tone *.*.example\t5\t5\t5\t5d\tmaybe\tpage\tme\t2026-13-40',
          'long\tmx.example\t1\t1\t1\t1h\ttry\t-\tme\t2026-11-28\tmore',
          'yahoo\t-\t3',
          'yahoo\t-\t4',
        ].join('\n'),
      ),
    ).toEqual([
      '2:1 key: "Yahoo" is no word of lower-case letters, digits and hyphens',
      '3:9 sessions: "many" is no whole number from 1 to 1000',
      '3:16 minute: "0" is no whole number from 1 to 10000',
      '4:5 mx: a value is needed',
      '5:5 mx: "one" is no host name with at least two labels',
      '5:27 rest: "5d" is no duration from 1m to 24h, such as 30m or 2h',
      '5:30 ipv6: "maybe" is neither try nor no',
      '5:36 removal: "page" begins neither with https:// nor with mailto:',
      '5:44 read: "2026-13-40" is no day such as 2026-11-28',
      '6:46 there are 11 columns, and 10 have a meaning; they are divided by tabs',
      '8:1 yahoo has a line above',
    ]);
  });

  test('a file that cannot be read, or has bytes of any kind, is an error and nothing else', () => {
    expect(() => loadProviders('/nonexistent/providers.local.tsv')).toThrow('ENOENT');
    expect(mistakes('\u0000\ufffd\t\t\t')).toEqual([expect.stringMatching(/^1:1 key/)]);
    expect(mistakes(`x\t${'a.'.repeat(600_000)}`)).toEqual(['1:1 the file is larger than 1 MB']);
  });
});
