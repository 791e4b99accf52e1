import { expect, test } from 'vitest';
import { HOUR } from '../../../src/system/clock.ts';
import { change, NOW, startReporter, subject } from '../../support/report-rig.ts';

test('a summary names each message and recipient with its status, from the null reverse-path', async () => {
  const { summarize, requests } = startReporter();
  const { content: _, ...facts } = subject();
  const second = { ...facts, id: 'second', messageId: '<2@example.net>' };
  const written = await summarize('a@example.net', [
    { message: facts, changes: [change('b@example.org'), change('c@example.org', { action: 'expired' })] },
    { message: second, changes: [change('d@example.org', { action: 'delayed', willRetryUntil: NOW + HOUR })] },
  ]);
  expect(written).toMatchObject({ user: null, reversePath: '', recipients: [{ address: 'a@example.net', notify: ['NEVER'] }] });
  const text = requests[0]!.bytes.toString();
  const words = text.replace(/\s+/g, ' ');
  expect(words).toContain('3 recipients of 2 messages');
  expect(words).toMatch(
    /not be tried again: <1@example\.net>, .*<b@example\.org> 5\.1\.1: 550 5\.1\.1 No such user <c@example\.org> 5\.4\.7/,
  );
  expect(words).toMatch(/we keep trying: <2@example\.net>, .* queued as second <d@example\.org> 4\./);
  expect(text).toContain('Auto-Submitted: auto-replied\r\n');
  expect(text.split('\r\n').every((line) => line.length <= 998 && !line.includes('\n'))).toBe(true);
});

test('text from outside cannot start a line', async () => {
  const { summarize, requests } = startReporter();
  const { content: _, ...facts } = subject({ messageId: '<x@y>\r\nBcc: all@example.net' });
  const reply = { code: 550, status: '5.1.1', text: 'No\r\n\r\n.\r\nEvil: yes\u2028' };
  await summarize('a@example.net', [{ message: facts, changes: [change('b@example.org', { outcome: { reply } })] }]);
  const text = requests[0]!.bytes.toString();
  expect(text).not.toMatch(/^(Evil|Bcc):/m);
  expect(text).not.toMatch(/\u2028/);
});
