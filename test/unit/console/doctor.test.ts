/** The doctor over the API: one look at a time, and the age of what it finds. */
import { expect, test } from 'vitest';
import { createDoctor } from '../../../src/control/control.ts';
import type { Finding } from '../../../src/doctor/doctor.ts';
import { about } from '../../../src/doctor/finding.ts';
import { data, phrase } from '../../../src/system/phrase.ts';
import { startTestConsole } from '../../support/console.ts';
import { createMemoryData } from '../../support/memory-data.ts';
import { NOW } from '../../support/store-rig.ts';

const found = (result: Finding['result'], check = 'spf'): Finding =>
  about(check, 'shop.test')(result, phrase`no SPF record`, data('v=spf1'), phrase`correct SPF`);

function rig(kept = createMemoryData().client().console) {
  const looks: ((findings: readonly Finding[]) => void)[] = [];
  const clock = { now: NOW };
  const doctor = createDoctor(
    () => new Promise((resolve) => void looks.push(resolve)),
    kept,
    () => clock.now,
  );
  const finish = async (findings: readonly Finding[]) => {
    looks.at(-1)!(findings);
    await doctor.settled();
  };
  return { doctor, looks, clock, finish };
}

test('ten clicks start one look, and the next one may begin after 30 seconds', async () => {
  const { doctor, looks, clock, finish } = rig();
  await using console = await startTestConsole({ doctor });
  expect((await console.ask('GET', '/doctor')).body).toMatchObject({ state: 'never', lookedAt: null, findings: [] });
  const clicks = await Promise.all(Array.from({ length: 10 }, () => console.ask('POST', '/doctor', {})));
  expect(clicks.map(({ status }) => status)).toEqual(Array(10).fill(202));
  expect(clicks.map(({ headers }) => headers.get('location'))).toContain('/api/v1/doctor');
  expect(clicks.filter(({ body }) => body.begun)).toHaveLength(1);
  expect(looks).toHaveLength(1);
  expect((await console.ask('GET', '/doctor')).body.state).toBe('looking');
  await finish([found('error')]);
  clock.now += 29_999;
  expect((await console.ask('POST', '/doctor', {})).body.begun).toBe(false);
  clock.now += 1;
  expect((await console.ask('POST', '/doctor', {})).body.begun).toBe(true);
  expect(looks).toHaveLength(2);
});

test('a finding keeps its age while its result is the same, and a change is remembered', async () => {
  const { doctor, clock, finish } = rig();
  await using console = await startTestConsole({ doctor });
  const look = async (findings: readonly Finding[]) => {
    clock.now += 60_000;
    await console.ask('POST', '/doctor', {});
    await finish(findings);
    return (await console.ask('GET', '/doctor')).body;
  };
  const first = await look([found('error'), found('ok', 'dkim')]);
  const second = await look([found('error'), found('warning', 'dkim')]);
  expect(second.findings[0]).toEqual({ ...found('error'), since: first.lookedAt });
  expect(second.findings[1].since).toBe(second.lookedAt);
  expect(second.changes).toEqual([{ at: second.lookedAt, check: 'dkim', subject: 'shop.test', before: 'ok', result: 'warning' }]);
});

test('a restart makes no finding younger, and what changed meanwhile is told', async () => {
  const kept = createMemoryData().client().console;
  const before = rig(kept);
  before.doctor.look();
  await before.finish([found('error'), found('ok', 'dkim')]);
  const after = rig(kept);
  after.clock.now += 60_000;
  after.doctor.look();
  await after.finish([found('error'), found('error', 'dkim')]);
  const { findings, changes } = after.doctor.last();
  expect(findings.map(({ since }) => since)).toEqual([new Date(NOW).toISOString(), new Date(NOW + 60_000).toISOString()]);
  expect(changes).toMatchObject([{ check: 'dkim', before: 'ok', result: 'error' }]);
});

test('a look that fails says why, and keeps what was found before', async () => {
  const clock = { now: NOW };
  const results = [() => Promise.resolve([found('ok')]), () => Promise.reject(new Error('the store is closed'))];
  const doctor = createDoctor(
    () => results.shift()!(),
    createMemoryData().client().console,
    () => clock.now,
  );
  await using console = await startTestConsole({ doctor });
  for (let i = 0; i < 2; i++) {
    clock.now += 60_000;
    await console.ask('POST', '/doctor', {});
    await doctor.settled();
  }
  const { body } = await console.ask('GET', '/doctor');
  expect(body).toMatchObject({ state: 'looked', error: 'the store is closed', findings: [{ result: 'ok' }] });
});
