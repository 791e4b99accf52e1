/** The header and the bytes of queued mail, tables for spreadsheets, and who may see what. */
import { expect, test } from 'vitest';
import { csvCell } from '../../../../src/console/api/messages-csv.ts';
import { startTestConsole } from '../../../support/console.ts';
import { quietFacts } from '../../../support/live-facts.ts';
import { bytesOf, inline, NOW, newMessage } from '../../../support/store-rig.ts';

const message = () =>
  newMessage({ user: 'shop', acceptedAt: NOW, content: inline(bytesOf('Subject: a\r\nTo: b\r\n\r\nsecret body\r\n')) });

test('the header of queued mail is shown without its body', async () => {
  await using console = await startTestConsole();
  const one = message();
  await console.store.messages.accept({ message: one });
  const { status, type, body } = await console.ask('GET', `/messages/${one.id}/headers`);
  expect([status, type, body]).toEqual([200, 'text/plain; charset=utf-8', 'Subject: a\r\nTo: b\r\n']);
  expect((await console.ask('GET', `/messages/${one.id}/headers`, undefined, { as: 'reader' })).status).toBe(403);
});

test('a whole message is given only where the configuration says so, and the changes say who has read it', async () => {
  const one = message();
  await using closed = await startTestConsole();
  await closed.store.messages.accept({ message: message() });
  expect((await closed.ask('GET', `/messages/${one.id}/raw`)).status).toBe(403);
  await using console = await startTestConsole({}, { content: true });
  await console.store.messages.accept({ message: one });
  const { status, type, body } = await console.ask('GET', `/messages/${one.id}/raw`);
  expect([status, type, body]).toEqual([200, 'message/rfc822', 'Subject: a\r\nTo: b\r\n\r\nsecret body\r\n']);
  expect((await console.ask('GET', `/messages/${one.id}/raw`, undefined, { as: 'operator' })).status).toBe(403);
  const noted = await console.store.audit.changes({ limit: 9 });
  expect(noted.map(({ action, target }) => [action, target])).toEqual([['mail.read', one.id]]);
});

test('a table for spreadsheets has no formulas', async () => {
  await using console = await startTestConsole();
  const origin = { ip: '192.0.2.7', tls: null, mechanism: 'PLAIN', subject: '=HYPERLINK("http://evil.example")' };
  await console.store.messages.accept({ message: newMessage({ user: 'shop', acceptedAt: NOW, origin }) });
  const { type, body } = await console.ask('GET', '/messages.csv');
  expect(type).toBe('text/csv; charset=utf-8');
  const lines = String(body).trimEnd().split('\r\n');
  expect(lines).toHaveLength(2);
  expect(lines[1]).toContain(`"'=HYPERLINK(""http://evil.example"")"`);
  expect(['+1', '-1', '@a', ' =1', '\t=1'].map(csvCell)).toEqual(["'+1", "'-1", "'@a", "' =1", "'\t=1"]);
  expect(csvCell(-1), 'a number is one').toBe('-1');
});

test('who may see one credential sees no other mail anywhere', async () => {
  await using console = await startTestConsole();
  await console.people.account('limited', { role: 'operator', credentials: ['shop'] });
  await console.people.session('limited', 'session of limited');
  const mine = newMessage({ user: 'Shop', acceptedAt: NOW, to: ['a@x.example'] });
  const other = newMessage({ user: 'exchange', acceptedAt: NOW, to: ['b@y.example'] });
  for (const one of [mine, other]) await console.store.messages.accept({ message: one });
  const ask = (path: string) => console.ask('GET', path, undefined, { as: { session: 'session of limited' } });
  expect((await ask('/messages')).body.items.map(({ id }: any) => id)).toEqual([mine.id]);
  expect((await ask('/messages?credential=exchange')).body.items).toEqual([]);
  expect((await ask(`/messages/${mine.id}`)).status).toBe(200);
  for (const path of [`/messages/${other.id}`, `/messages/${other.id}/headers`]) expect((await ask(path)).status).toBe(404);
  expect((await ask('/queue')).body.items.map(({ name }: any) => name)).toEqual(['x.example']);
  expect((await ask('/queue?by=credential&credential=exchange')).body.items).toEqual([]);
  expect(String((await ask('/messages.csv')).body)).not.toContain('y.example');
  for (const path of ['/refusals', '/log', '/destinations', '/destinations/y.example', '/history?by=destination'])
    expect([path, (await ask(path)).status]).toEqual([path, 403]);
  expect((await ask('/status')).body.queue).toEqual({ waiting: 1, held: 0, oldestAcceptedAt: new Date(NOW).toISOString() });
});

test('text of strangers is data: the answer stays JSON, whatever it holds', async () => {
  await using console = await startTestConsole();
  const wild = `<script>alert(1)</script>\u202egpj.exe\0\ud800 ${'x'.repeat(100_000)}`;
  const origin = { ip: '192.0.2.7', tls: null, mechanism: 'PLAIN', subject: wild };
  const one = newMessage({ user: 'shop', acceptedAt: NOW, reversePath: `"${wild}"@a.example`, origin });
  await console.store.messages.accept({ message: one });
  const { status, body } = await console.ask('GET', `/messages/${one.id}`);
  expect([status, body.subject.includes('<script>'), body.id]).toEqual([200, true, one.id]);
  expect((await console.ask('GET', '/messages')).body.items).toHaveLength(1);
});

test('HEAD answers with the status and the fields of GET, without a body, and counts as no reading', async () => {
  await using closed = await startTestConsole();
  await using console = await startTestConsole({}, { content: true });
  const one = message();
  await console.store.messages.accept({ message: one });
  const unequal = new Set(['date', 'transfer-encoding']);
  const fieldsOf = (headers: Headers) => [...headers].filter(([name]) => !unequal.has(name));
  const cases = [
    [console, `/messages/${one.id}/headers`, 200],
    [console, `/messages/${one.id}/raw`, 200],
    [console, '/messages/missing/headers', 404],
    [console, '/messages/missing/raw', 404],
    [console, '/domains/b.example/zone', 200],
    [console, '/messages.csv', 200],
    [console, '/messages.csv?state=lost', 422],
    [closed, `/messages/${one.id}/raw`, 403],
  ] as const;
  for (const [where, path, status] of cases) {
    const head = await where.ask('HEAD', path);
    expect([path, head.status, head.body]).toEqual([path, status, '']);
    const get = await where.ask('GET', path);
    expect([path, get.status, ...fieldsOf(head.headers)]).toEqual([path, status, ...fieldsOf(get.headers)]);
  }
  const read = await console.store.audit.changes({ limit: 9 });
  expect(
    read.filter(({ action }) => action === 'mail.read'),
    'that of GET alone',
  ).toHaveLength(1);
});

test('HEAD of what comes live ends at once and leaves nothing behind', async () => {
  let watched = 0;
  const watch = () => {
    watched++;
    return () => watched--;
  };
  const { live } = quietFacts();
  await using console = await startTestConsole({ live: { ...live, watch, log: { ...live.log, watch } } });
  for (const path of ['/messages/live', '/log/live?after=0']) {
    const { status, type, body } = await console.ask('HEAD', path);
    expect([path, status, type, body, watched]).toEqual([path, 200, 'text/event-stream; charset=utf-8', '', 0]);
    const { close } = await console.open(path);
    expect(watched, 'a stream that is read').toBe(1);
    close();
    await expect.poll(() => watched).toBe(0);
  }
  expect((await console.ask('HEAD', '/messages/live?limit=1')).status).toBe(422);
});
