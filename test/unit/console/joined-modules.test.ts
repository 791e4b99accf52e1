/** Modules that are joined do what they do alone. */
import { expect, test } from 'vitest';
import { joinModules } from '../../../src/console/joined-modules.ts';

const load = (text: string) => import(`data:text/javascript,${encodeURIComponent(text)}`);
const joined = (modules: Readonly<Record<string, string>>) => joinModules(new Map(Object.entries(modules)));

test('what they export is exported by the whole, and what they keep for themselves meets nothing of the others', async () => {
  const whole = await load(
    joined({
      pack: 'var n=1,t=()=>n++;export{t as next,n as first};\n',
      hooks: 'import{next as t}from"pack";var n=t();export{n as taken};',
      tag: 'var n="<";export default function(t){return n+t+">"}',
      'a.ts': `import tagged from 'tag';
import {
  next,
  taken as before,
} from 'pack';
const n = 'own';
export const one = tagged(n + before);
export async function two() { return next(); }
export class Three extends Error {}
`,
      'b/c.ts': "import { one, two } from '../a.ts';\nexport function four() { return [one, two]; }\n",
    }),
  );
  expect(Object.keys(whole).sort()).toEqual(['Three', 'default', 'first', 'four', 'next', 'one', 'taken', 'two']);
  const { one, two, Three, four, taken, default: tagged } = whole;
  expect([one, await two(), taken, tagged('x')]).toEqual(['<own1>', 2, 1, '<x>']);
  expect(four()).toEqual([one, two]);
  expect(new Three('wrong')).toBeInstanceOf(Error);
});

test('a module that is loaded later is still looked for beside the one that asks', () => {
  const whole = joined({
    'parts/a.ts': "export const later = () => import('./b.ts');\nexport const up = () => import('../c.ts');\n",
  });
  expect(whole).toContain("import('/assets/parts/b.ts')");
  expect(whole).toContain("import('/assets/c.ts')");
});

test.each([
  [
    'one name of two modules',
    { 'a.ts': 'export const one = 1;\n', 'b.ts': 'export const one = 2;\n' },
    'a.ts and b.ts both export one',
  ],
  ['a name that changes', { 'a.ts': 'export let one = 1;\n' }, 'a.ts cannot be joined: export let one = 1;'],
  ['names of another module', { 'a.ts': "export * from './b.ts';\n" }, "a.ts cannot be joined: export * from './b.ts';"],
])('%s is an error, not a page that fails', (_, modules, message) => {
  expect(() => joined(modules)).toThrow(message);
});
