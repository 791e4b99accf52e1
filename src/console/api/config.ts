/** The configuration: what is in effect and where from, the file as it is now, and taking it over. Nothing here writes the file. */
import * as v from 'valibot';
import { ApiProblem } from '../problem.ts';
import { route } from '../route.ts';

const problem = v.object({ path: v.string(), message: v.string(), level: v.picklist(['error', 'warning']), source: v.string() });
const problems = v.array(problem);

export const CONFIG_ROUTES = [
  route({
    method: 'GET',
    path: '/config',
    access: 'operator',
    scope: null,
    about: 'Each setting: what is in effect, where it comes from, and what the file says now. Secrets are ***.',
    answer: v.object({
      file: v.pipe(v.nullable(v.string()), v.description('null: only the environment.')),
      problems: v.pipe(problems, v.description('Of the file and the environment as they are now.')),
      settings: v.array(
        v.object({
          path: v.string(),
          about: v.string(),
          value: v.pipe(v.unknown(), v.description('In effect, as an operator writes it.')),
          default: v.unknown(),
          from: v.picklist(['file', 'environment', 'default']),
          where: v.pipe(
            v.nullable(v.union([v.number(), v.string()])),
            v.description('The line of the file, or the name of the variable.'),
          ),
          needsRestart: v.pipe(v.boolean(), v.description('Only a restart changes it.')),
          changed: v.pipe(v.boolean(), v.description('The file or the environment says something else now.')),
          next: v.pipe(v.unknown(), v.description('What it says, if it has changed.')),
        }),
      ),
    }),
    handle: ({ parts }) => parts.configuration.show(),
  }),
  route({
    method: 'POST',
    path: '/config/check',
    access: 'operator',
    scope: null,
    about: 'All problems of the file and the environment as they are now. Nothing changes.',
    answer: v.object({ works: v.boolean(), problems }),
    async handle({ parts }) {
      const found = await parts.configuration.check();
      return { works: found.every(({ level }) => level !== 'error'), problems: found };
    },
  }),
  route({
    method: 'POST',
    path: '/config/reload',
    access: 'admin',
    scope: null,
    about:
      'Reads the configuration again and applies what can change without a restart. 409 with all problems if it is not right.',
    answer: v.object({
      restartNeeded: v.pipe(v.array(v.string()), v.description('Changed settings that only a restart takes over.')),
    }),
    async handle({ parts, control }) {
      const done = await parts.configuration.reload();
      if (done.result === 'reloaded') {
        await control.changes.noteReload(done.restartNeeded);
        return { restartNeeded: done.restartNeeded };
      }
      if (done.result === 'failed') throw new ApiProblem(500, `The configuration could not be read again: ${done.error}`);
      const errors = done.problems.map((detail) => ({ pointer: '', detail }));
      throw new ApiProblem(409, 'The new configuration has errors. Nothing was changed.', { errors });
    },
  }),
];
