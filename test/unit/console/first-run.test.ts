/** The routes of a first run, which exist only before there is a configuration. */
import { expect, onTestFinished, test } from 'vitest';
import type { FirstRun } from '../../../src/setup/setup.ts';
import { openFirstRun } from '../../../src/setup/setup.ts';
import { startTestConsole } from '../../support/console.ts';
import { startDns } from '../../support/dns.ts';
import { testStore } from '../../support/store-rig.ts';

async function startFirstRun() {
  const dns = await startDns({ 'relay.example.net': { A: ['203.0.113.5'] } });
  onTestFinished(() => dns.close());
  const written: string[] = [];
  let answered = 0;
  const run: FirstRun = await openFirstRun({
    ...{ store: await testStore(), file: '/etc/x.yaml', dataDir: './data', cwd: '/', start: 'here' },
    env: { SMARTHOST_DNS_SERVERS: dns.server },
    write: async (text) => void written.push(text),
  });
  const console = await startTestConsole({ firstRun: { ...run, answered: () => answered++ } });
  return { console, written, answered: () => answered };
}

const PATHS = ['/first-run', '/first-run/records', '/first-run/way-out'];

test('without a login nothing of it is answered, and no route of a relay is there', async () => {
  const { console } = await startFirstRun();
  await using _ = console;
  for (const path of PATHS) {
    expect((await console.ask('GET', path, undefined, { as: 'none' })).status).toBe(401);
    expect((await console.ask('GET', path, undefined, { as: 'operator' })).status).toBe(403);
  }
  for (const path of ['/status', '/credentials']) expect((await console.ask('GET', path)).status).toBe(404);
});

test('a relay that runs has none of its routes', async () => {
  await using console = await startTestConsole();
  for (const path of PATHS) expect((await console.ask('GET', path)).status).toBe(404);
  expect((await console.ask('POST', '/first-run/finish', {})).status).toBe(404);
});

test('tells all wrong answers of a step at once, each with the name of its field', async () => {
  const { console } = await startFirstRun();
  await using _ = console;
  const { status, body } = await console.ask('POST', '/first-run/machine', { hostname: 'relay', addresses: ['x'] });
  expect(status).toBe(422);
  expect(body.errors).toMatchObject([{ pointer: '/hostname' }, { pointer: '/addresses/0' }]);
  expect((await console.ask('POST', '/first-run/machine', { hostname: 'relay.example.net', more: 1 })).status).toBe(422);
  const early = await console.ask('POST', '/first-run/finish', {});
  expect([early.status, early.body.errors.length]).toEqual([422, 3]);
});

test('goes from the first answer to the file, and says when the last answer has left', async () => {
  const { console, written, answered } = await startFirstRun();
  await using _ = console;
  const machine = { hostname: 'relay.example.net', addresses: ['203.0.113.5'] };
  expect((await console.ask('POST', '/first-run/machine', machine)).body.items).toContainEqual(
    expect.objectContaining({ result: 'ok' }),
  );
  expect((await console.ask('POST', '/first-run/domains', { domains: ['shop.test'] })).status).toBe(200);
  const { groups } = (await console.ask('GET', '/first-run/records')).body;
  expect(groups.length).toBeGreaterThan(3);
  const certificate = { acceptTerms: true, challenge: 'http-01', email: '' };
  expect((await console.ask('POST', '/first-run/certificate', certificate)).status).toBe(204);
  expect((await console.ask('POST', '/first-run/way-out', { upstream: null })).status).toBe(204);
  expect((await console.ask('GET', '/first-run')).body.answers).toEqual({
    ...machine,
    ...{ domains: ['shop.test'], acceptTerms: true, challenge: 'http-01', email: null, upstream: null },
  });
  const last = await console.ask('POST', '/first-run/finish', {});
  expect([last.status, last.body]).toEqual([202, { file: '/etc/x.yaml', start: 'here' }]);
  expect(written).toEqual([expect.stringContaining('hostname: relay.example.net')]);
  await expect.poll(answered).toBe(1);
});
