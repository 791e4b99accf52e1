/** The queue on the real store, with a delivery that the test controls, and reports through the real preparation. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createEventLog } from '../../src/events/events.ts';
import { createPreparation } from '../../src/preparation/preparation.ts';
import { createReporter } from '../../src/report/report.ts';
import { createDkimKeys, createSigner } from '../../src/signing/signing.ts';
import { newQueueId } from '../../src/smtp/queue-id.ts';
import { storeFiles } from '../../src/store/embedded/embedded.ts';
import type { Store } from '../../src/store/store.ts';
import { createLog } from '../../src/system/log.ts';
import { cpuClock } from '../support/cpu-time.ts';
import { field, hasPython, parseMail } from '../support/parse-mail.ts';
import { delayed, failed, message, type Rig, recipient, relayed, startRig } from '../support/queue-rig.ts';

let dataDir: string;
let store: Store;
let rig: Rig | undefined;

beforeEach(async () => {
  dataDir = mkdtempSync(join(tmpdir(), 'queue-store-'));
  store = await storeFiles(dataDir).open();
});
afterEach(async () => {
  await rig?.queue.close(0);
  rig = undefined;
  await store.close();
  rmSync(dataDir, { recursive: true });
});

const recipientsOf = async (id: string) => (await store.messages.get(id))!.recipients;

test('a message goes from memory to its destination, and the trace says so', async () => {
  rig = startRig({ store: store.messages });
  const mail = message([recipient('b@example.org'), recipient('c@example.com')]);
  await rig.queue.add({ message: mail });
  await rig.logged('relayed', 2);
  const [first] = await recipientsOf(mail.id);
  expect(first).toMatchObject({ state: 'relayed', attempts: 1, lastReply: '250 2.0.0 Ok' });
  expect(first!.trace).toMatchObject([{ outcome: 'relayed', mx: 'mx.example.org', code: 250 }]);
  expect(await store.messages.content(mail.id)).toBeUndefined();
});

test('2 000 messages for a destination in back-off do not slow another, and leave when it opens', async () => {
  rig = startRig({ store: store.messages });
  rig.blocked.set('dead.example', Date.now() + 600_000);
  const backlog = Array.from({ length: 2000 }, (_, i) => message([recipient(`u${i}@dead.example`)]));
  await Promise.all(backlog.map((mail) => rig!.queue.add({ message: mail })));
  const startedAt = cpuClock();
  for (let i = 1; i <= 10; i++) {
    await rig.queue.add({ message: message([recipient('x@good.example')]) });
    await rig.logged('relayed', i);
  }
  expect((cpuClock() - startedAt) / 10).toBeLessThan(100); // some 3 ms of processor
  rig.free('dead.example');
  await rig.logged('relayed', 2010);
  expect((await store.messages.counts()).states).toEqual({});
});

test('killed between the last reply and its settlement: due again at the next start, nothing is lost', async () => {
  const id = newQueueId(Date.now());
  await store.close();
  const child = spawn(process.execPath, [new URL('../support/queue-crash.ts', import.meta.url).pathname, dataDir, id], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  store = await storeFiles(dataDir).open({ sweep: true }); // as a relay does, which has the instance lock
  expect((await recipientsOf(id)).map(({ state }) => state)).toEqual(['active', 'active', 'active']);
  rig = startRig({ store: store.messages, owner: 'second' });
  await rig.logged('relayed', 3);
  expect(rig.of('takenBack')[0]!.fields).toEqual({ recipients: 3 });
  expect(rig.claims).toHaveLength(1); // all three once more, together
});

test.each([
  'before the failure is stored',
  'after the failure is stored',
  'while the report is written',
  'before the report is stored',
  'after the report is stored',
])('killed %s: the sender is told once of all that failed', async (point) => {
  const id = newQueueId(Date.now());
  await store.close();
  const child = spawn(process.execPath, [new URL('../support/queue-crash.ts', import.meta.url).pathname, dataDir, id, point], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [, signal] = await once(child, 'exit');
  expect(signal).toBe('SIGKILL');
  store = await storeFiles(dataDir).open({ sweep: true }); // as a relay does, which has the instance lock
  rig = startRig({
    store: store.messages,
    owner: 'second',
    deliver: async ({ message: { reversePath }, recipients }) => recipients.map(() => (reversePath === '' ? relayed : failed)),
    report: async ({ id: about }, changes) => {
      expect(changes).toHaveLength(3);
      return [{ ...message([recipient('a@example.net')], { reversePath: '', user: null, about }), action: 'failed' }];
    },
  });
  await rig.logged('relayed');
  await rig.queue.close(5000);
  expect((await recipientsOf(id)).map(({ state }) => state)).toEqual(['failed', 'failed', 'failed']);
  const reports = await store.messages.list({ states: ['relayed'] });
  expect(reports.map(({ about, recipients }) => [about, recipients[0]!.address])).toEqual([[id, 'a@example.net']]);
  expect(await store.messages.content(id)).toBeUndefined();
  expect((await store.messages.dueReports({ now: Date.now(), limit: 9, perHour: 100 })).nextAt).toBeNull();
});

test('closing gives back the mail, and the next start delivers it', async () => {
  rig = startRig({
    store: store.messages,
    deliver: ({ recipients }, signal) =>
      new Promise((resolve) => {
        const reply = { code: 451, status: '4.3.2', text: 'closing' };
        signal.addEventListener('abort', () => resolve(recipients.map(() => ({ kind: 'returned', reply, seconds: 0 }))));
      }),
  });
  const mail = Array.from({ length: 50 }, (_, i) => message([recipient(`u${i}@example.org`)]));
  await Promise.all(mail.map((one) => rig!.queue.add({ message: one })));
  await rig.queue.close(10_000);
  expect((await store.messages.counts()).states).toEqual({ queued: 50 });
  rig = startRig({ store: store.messages, owner: 'next' });
  await rig.logged('relayed', 50);
});

test('a recipient that a command removes meanwhile stays removed', async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  rig = startRig({ store: store.messages, deliver: () => promise.then(() => [delayed]) });
  const mail = message([recipient('b@example.org')]);
  await rig.queue.add({ message: mail });
  await store.messages.remove({ ids: [mail.id] }, Date.now());
  resolve();
  await rig.queue.close(5000);
  expect((await recipientsOf(mail.id))[0]).toMatchObject({ state: 'removed', attempts: 1 });
  expect(rig.of('delayed')).toEqual([]); // its line in the log is the command's
});

test.skipIf(!hasPython)('a failure becomes a signed report in the same transaction, and the report is delivered', async () => {
  await store.operation.addDkimKeys(
    (await createDkimKeys({ domain: 'relay.example.net', selector: 's1', now: Date.now() })).map((key) => ({
      ...key,
      state: 'active',
    })),
  );
  const reports: Buffer[] = [];
  rig = startRig({
    store: store.messages,
    deliver: async ({ message: { reversePath }, content, recipients }) => {
      if (reversePath !== '') return recipients.map(() => failed);
      if (content.kind === 'inline') reports.push(Buffer.from(content.bytes));
      return recipients.map(() => relayed);
    },
    report: createReporter({
      hostname: 'relay.example.net',
      from: 'postmaster@relay.example.net',
      reportLifetime: 86_400_000,
      destinationOf: (_, address) => address.slice(address.lastIndexOf('@') + 1),
      signs: () => true,
      log: createEventLog(createLog({ level: 'silent', format: 'json' })),
      preparation: createPreparation({
        hostname: 'relay.example.net',
        maxMessageSize: 50_000_000,
        maxHeaderSize: 262_144,
        bareNewlines: 'normalize',
        createSpool: store.messages.createSpool,
        signer: createSigner({ operation: store.operation, noKey: 'send', warn: () => {} }),
      }),
    }),
  });
  const mail = message([recipient('b@example.org'), recipient('c@example.org')]);
  await rig.queue.add({ message: mail });
  await rig.logged('relayed');
  expect(rig.events.map(({ event }) => event)).toEqual(['failed', 'failed', 'reported', 'relayed']);
  const [found] = await store.messages.find(String(rig.of('reported')[0]!.fields['queueId']), 1);
  expect(found).toMatchObject({ about: mail.id, reversePath: '', user: null });
  expect(found!.signatures.map((name) => name.split('._domainkey.')[1])).toEqual(['relay.example.net', 'relay.example.net']);
  const parsed = await parseMail(reports[0]!);
  expect(parsed.defects).toEqual([]);
  expect(field(parsed, 'DKIM-Signature')).toContain('d=relay.example.net');
  expect(parsed.parts.map(({ type }) => type)).toEqual(['text/plain', 'message/delivery-status', 'text/rfc822-headers']);
  expect(parsed.parts[1]!.parts).toHaveLength(3);
});
