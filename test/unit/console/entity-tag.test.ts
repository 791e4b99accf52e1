/** If-Match: a change is made to what the caller saw, or not at all, by whatever spelling and over whatever relay somebody else was faster. */
import { expect, test } from 'vitest';
import { ROUTES } from '../../../src/console/routes.ts';
import { startTestConsole } from '../../support/console.ts';

const SHOP = { name: 'shop', kind: 'application', senders: ['@shop.example'] };
const PATHS: Readonly<Record<string, string>> = {
  '/accounts/:name': '/accounts/reader',
  '/credentials/:name': '/credentials/shop',
};

async function started() {
  const console = await startTestConsole();
  await console.ask('POST', '/credentials', SHOP);
  const tagOf = async (path: string) => (await console.ask('GET', path)).headers.get('etag')!;
  return { console, tagOf };
}

test('each thing that has a tag is changed only as it was seen', async () => {
  const { console, tagOf } = await started();
  await using _ = console;
  const tagged = ROUTES.filter(({ tag }) => tag !== undefined).map(({ path }) => path);
  expect(tagged.toSorted()).toEqual(Object.keys(PATHS));
  for (const { method, path } of ROUTES.filter((one) => tagged.includes(one.path) && one.method !== 'GET')) {
    const at = PATHS[path]!;
    const before = await console.ask('GET', at);
    const body = method === 'DELETE' ? undefined : { disabled: true };
    const refused = await console.ask(method, at, body, { headers: { 'if-match': '"another"' } });
    expect([method, path, refused.status, refused.body.type]).toEqual([method, path, 412, '/api/problems#changed-meanwhile']);
    expect((await console.ask('GET', at)).body).toEqual(before.body);
    expect((await console.ask(method, at, body, { headers: { 'if-match': await tagOf(at) } })).status).toBeLessThan(300);
  }
  expect((await console.ask('POST', '/doctor', {}, { headers: { 'if-match': '"x"' } })).status, 'a thing without a tag').toBe(
    412,
  );
});

test.each(Object.values(PATHS))('of two who saw the same %s one changes it, although they spell it differently', async (path) => {
  const { console, tagOf } = await started();
  await using _ = console;
  const spellings = [path, path.replace(/[^/]+$/, (name) => name.toUpperCase())];
  const tags = await Promise.all(spellings.map(tagOf));
  expect(tags[0]).toBe(tags[1]);
  const headers = { 'if-match': tags[0]! };
  const both = await Promise.all(spellings.map((one) => console.ask('PATCH', one, { disabled: true }, { headers })));
  expect(both.map(({ status }) => status).sort()).toEqual([200, 412]);
  const again = await Promise.all(
    spellings.map(async (one) => console.ask('DELETE', one, undefined, { headers: { 'if-match': await tagOf(path) } })),
  );
  expect(again.map(({ status }) => status).sort()).toEqual([204, 404]);
});

test('a change by a command between the look and the change of a caller is not undone', async () => {
  const { console, tagOf } = await started();
  await using _ = console;
  const headers = { 'if-match': await tagOf('/credentials/shop') };
  await console.control.users.change('shop', { disabled: true });
  expect((await console.ask('DELETE', '/credentials/shop', undefined, { headers })).status).toBe(412);
  expect((await console.control.users.show('shop')).disabled).toBe(true);
});

test('another credential of the same name has another tag', async () => {
  let now = 1_700_000_000_000;
  const { console, tagOf } = await started();
  await using _ = console;
  const { store } = console;
  const credential = { ...(await store.credentials.get('shop'))!, name: 'other' };
  await store.credentials.add({ ...credential, createdAt: now++ });
  const first = await tagOf('/credentials/other');
  await store.credentials.remove('other');
  await store.credentials.add({ ...credential, createdAt: now++ });
  expect(await tagOf('/credentials/other')).not.toBe(first);
});
