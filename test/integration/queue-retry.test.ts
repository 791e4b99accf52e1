/** `smarthost queue retry` with a running relay, while the hosts of the destination rest. */
import { expect, onTestFinished, test } from 'vitest';
import { runCommand } from '../../src/commands/commands.ts';
import { openClient, startTestRelay, USER } from '../support/relay.ts';

test('mail that an operator retries is tried at once although its hosts rest, and other waiting mail follows', async () => {
  const relay = await startTestRelay({ mx: { script: { MAIL: '421 4.3.2 Busy' } } });
  onTestFinished(() => relay.close());
  const { mx, ports, file, logged } = relay;
  const client = await openClient(ports.submissions, { tls: true });
  await client.login();
  const text = `From: ${USER}\r\nTo: anna@dest.test\r\nSubject: Hello\r\n\r\nHow are you?\r\n`;
  const send = async (to: string) => (await client.message({ to: [to], text })).split(' ').at(-1)!;
  const id = await send('anna@dest.test');
  await logged('resting');
  await logged('delayed', ({ queueId }) => queueId === id);
  mx.script({});
  const other = await send('bob@dest.test');
  expect(mx.count()).toBe(0);

  let err = '';
  const stdin = (async function* () {})();
  const io = {
    env: {},
    cwd: '/',
    out: async () => {},
    err: (words: string) => void (err += words),
    stdin,
    interactive: false,
    colours: false,
  };
  expect(await runCommand(['queue', 'retry', id, '--config', file], io)).toBe(0);
  expect(err).toContain('1 recipient due now.');
  expect(await logged('relayed', ({ queueId }) => queueId === id)).toMatchObject({ recipient: 'anna@dest.test' });
  await logged('relayed', ({ queueId }) => queueId === other);
  client.close();
});
