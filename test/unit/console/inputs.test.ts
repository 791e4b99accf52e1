/** Inputs made from the document of the API: none is a fault of the relay, and what is refused changes nothing. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { API_DOCUMENT } from '../../support/api-document.ts';
import { askOnce, startTestConsole } from '../../support/console.ts';

type Schema = {
  readonly type?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly oneOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
};
type Operation = {
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: Schema }>> };
  readonly parameters: readonly { readonly name: string; readonly in: string; readonly schema: Schema }[];
};

const ODD = [
  '',
  ' ',
  '\u0000',
  '\u202e',
  '<script>',
  'a@b.example',
  'example.org',
  '*',
  '-1',
  '9'.repeat(30),
  'x'.repeat(2000),
  '../..',
  'reader',
];
const text = fc.oneof(fc.constantFrom(...ODD), fc.string(), fc.string({ unit: 'binary' }));

/** Values of the type that the schema names, not always valid. */
function valuesOf(schema: Schema): fc.Arbitrary<unknown> {
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return fc.oneof(...choices.map(valuesOf));
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  if ('const' in schema) return fc.constant(schema.const);
  if (schema.type === 'string') return text;
  if (schema.type === 'boolean') return fc.boolean();
  if (schema.type === 'null') return fc.constant(null);
  if (schema.type === 'number' || schema.type === 'integer') return fc.oneof(fc.integer(), fc.double({ noNaN: true }));
  if (schema.type === 'array') return fc.array(valuesOf(schema.items ?? {}), { maxLength: 4 });
  if (schema.properties === undefined) return fc.jsonValue();
  const fields = Object.fromEntries(Object.entries(schema.properties).map(([name, one]) => [name, valuesOf(one)]));
  return fc.record(fields, { requiredKeys: [...(schema.required ?? [])] });
}

/** Valid in form, or broken: another type, a field too many, or any JSON. */
const inputsOf = (schema: Schema) =>
  fc.oneof(
    { weight: 3, arbitrary: valuesOf(schema) },
    { weight: 1, arbitrary: valuesOf(schema).map((value) => (typeof value === 'object' ? { ...value, more: 1 } : [value])) },
    { weight: 1, arbitrary: fc.jsonValue() },
  );

/** Routes that ask the DNS or a machine of others, or end what this test asks with. */
const LEFT_OUT =
  /first-run|\/domains|\/doctor|\/test-messages|csp-reports|\/config|\/session\b|\/setup|\/certificates|\/tls\/check|refresh$|live$/;

const operations = Object.entries(API_DOCUMENT.paths).flatMap(([path, methods]) =>
  Object.entries(methods as unknown as Record<string, Operation>)
    .filter(([method]) => method !== 'delete' && !LEFT_OUT.test(path))
    .map(([method, operation]) => ({ method: method.toUpperCase(), path: path.replace('/api/v1', ''), operation })),
);

test('no input is a fault of the relay, each answer is declared, and a refused one changes nothing', async () => {
  await using console = await startTestConsole({}, { proxyTrust: ['127.0.0.0/8'] });
  const { store, control, people } = console;
  const state = async () =>
    JSON.stringify([
      await control.users.list(),
      await control.accounts.list(),
      await control.tokens.list(),
      (await control.changes.list({ limit: 1 }))[0]?.seq,
    ]);
  await control.users.add({ name: 'shop', senders: ['*'] }, 'a password');
  await control.behaviour.hold('shop', {});
  let asked = 0;
  for (const { method, path, operation } of operations) {
    const schema = operation.requestBody?.content['application/json']?.schema;
    const query = fc.record(
      Object.fromEntries(
        operation.parameters.filter((one) => one.in === 'query').map(({ name, schema: of }) => [name, valuesOf(of)]),
      ),
      { requiredKeys: [] },
    );
    const name = fc.oneof(text, fc.constantFrom('shop', 'reader', 'google')); // also what is there
    const input = fc.record({ body: schema === undefined ? fc.constant(undefined) : inputsOf(schema), query, name });
    await fc.assert(
      fc.asyncProperty(input, async ({ body, query: given, name }) => {
        const secret = `s${++asked}`;
        await people.session('admin', secret);
        const before = await state();
        const pairs = Object.entries(given).map(([key, value]): [string, string] => [key, String(value)]);
        const search = new URLSearchParams(pairs).toString();
        const safe = name.isWellFormed() ? name : 'x';
        const target = `${path.replaceAll(/\{\w+\}/g, encodeURIComponent(safe))}${search === '' ? '' : `?${search}`}`;
        const { status } = await console.ask(method, target, body, { as: { session: secret } });
        expect(status, `${method} ${target} ${JSON.stringify(body)}`).toBeLessThan(500);
        if (status >= 400) expect(await state(), `${method} ${target} ${status}`).toBe(before);
      }),
      { numRuns: 6 },
    );
  }
  expect(asked).toBeGreaterThan(100);
  expect(console.events.filter(({ event }) => event === 'consoleFailed')).toEqual([]);
  expect(await store.console.account('admin')).toBeDefined();
});

test('values that no clock and no database holds are refused with their place, or mean what they can', async () => {
  await using console = await startTestConsole();
  const { ask } = console;
  await console.control.users.add({ name: 'shop', senders: ['*'] }, 'a password');
  await console.control.behaviour.hold('shop', {});
  const places = async (...[method, path, body]: Parameters<typeof ask>) => {
    const { status, body: answer } = await ask(method, path, body);
    return [status, ...answer.errors.map(({ pointer }: { pointer: string }) => pointer)];
  };
  expect(await places('GET', '/messages?from=a%00b&subject=%00')).toEqual([422, 'from', 'subject']);
  const mute = { check: 'ptr', subject: 'a\0b', reason: 'known', until: null };
  expect(await places('POST', '/doctor/mutes', mute)).toEqual([422, '/subject']);
  expect(await places('POST', '/queue/preview', { selection: { ids: ['a', '\0'] } })).toEqual([422, '/selection/ids/1']);
  expect(await places('POST', '/credentials/shop/release', { trust: 1e300 })).toEqual([422, '/trust']);
  for (const olderThan of [1e300, 0.0001]) {
    const selection = { olderThan };
    const { upTo } = (await ask('POST', '/queue/preview', { selection })).body;
    expect((await ask('POST', '/queue/hold', { selection, upTo })).status, String(olderThan)).toBe(202);
  }
  await console.people.token('script', { scopes: ['queue:write'] });
  const headers = { authorization: 'Bearer script', 'content-type': 'application/json' };
  const deep = `{"selection":${'['.repeat(30_000)}${']'.repeat(30_000)}}`;
  expect((await askOnce(`${console.origin}/api/v1/queue/preview`, 'POST', headers, deep)).status).toBe(422);
});
