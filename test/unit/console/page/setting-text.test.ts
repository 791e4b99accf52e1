import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { settingText } from '../../../../src/console/page/setting-text.ts';

test('writes values as they stand in the file', () => {
  expect(settingText('10m')).toBe('10m');
  expect(settingText(true)).toBe('true');
  expect(settingText([])).toBe('[]');
  expect(settingText(['[::]:465', '127.0.0.1:465'])).toBe('[[::]:465, 127.0.0.1:465]');
  expect(settingText(null)).toBeNull();
  expect(settingText(undefined)).toBeNull();
});

test('writes mappings in lines that read as the same in YAML', () => {
  const routes = [
    { recipientDomain: 'example.org', hosts: ['a.example'], login: { user: 'x', password: '***' } },
    { hosts: ['b.example'] },
  ];
  expect(settingText(routes)).toBe(
    '- recipientDomain: example.org\n  hosts: [a.example]\n  login: { user: x, password: *** }\n- hosts: [b.example]',
  );
  const plain = [{ domain: 'example.org', tls: 'verify' }, { mx: 'mx.example.net' }];
  expect(parse(settingText(plain)!)).toEqual(plain);
  expect(parse(settingText({ certificate: 'a.pem', key: 'b.pem' })!)).toEqual({ certificate: 'a.pem', key: 'b.pem' });
});
