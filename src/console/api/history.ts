/** How much passed, hour by hour or day by day. */
import * as v from 'valibot';
import type { HistoryRow } from '../../control/control.ts';
import { DAY } from '../../system/clock.ts';
import { ApiProblem } from '../problem.ts';
import { route } from '../route.ts';
import { isoTime } from './message-shapes.ts';
import { given, instant, shortText } from './paging.ts';
import { checkSeesAll, sightOf } from './sight.ts';

const row = v.object({
  from: v.pipe(isoTime, v.description('The beginning of the step.')),
  name: v.pipe(v.string(), v.description('Empty: all together, or what had no room of its own.')),
  accepted: v.number(),
  relayed: v.number(),
  delayed: v.number(),
  failed: v.number(),
  expired: v.number(),
  refused: v.number(),
  bytes: v.number(),
});

const historyAnswer = v.object({ items: v.array(row) });

/** `GET /history` */
export type ApiHistory = v.InferOutput<typeof historyAnswer>;

export const HISTORY_ROUTES = [
  route({
    method: 'GET',
    path: '/history',
    access: 'account',
    scope: 'metrics:read',
    about:
      'How much passed. `accepted` counts messages, `refused` refusals, the others recipients. The last minute may be missing. Default: the last 24 hours in hours.',
    query: v.strictObject({
      from: instant('from', 'Default: a day before `to`.'),
      to: instant('to', 'Default: now.'),
      by: v.optional(v.picklist(['credential', 'destination'])),
      name: shortText('Only this credential or domain.'),
      step: v.optional(v.picklist(['hour', 'day', 'whole']), 'hour'),
    }),
    answer: historyAnswer,
    async handle({ query: { from, to = Date.now(), by: subject, name, step }, by, control }) {
      const begin = from ?? to - DAY;
      if (begin > to) throw new ApiProblem(422, 'from is after to.');
      if (subject === 'destination') checkSeesAll(by);
      const only = sightOf(by)?.map((one) => one.toLowerCase());
      const rows = await control.activity.history({
        by: subject === 'destination' ? 'destination' : 'user',
        ...{ from: begin, to, step },
        ...given({ name: name?.toLowerCase() }),
        names: subject !== undefined || only !== undefined,
      });
      if (only === undefined) return { items: rows };
      const seen = rows.filter((one) => only.includes(one.name));
      return { items: subject === undefined ? together(seen) : seen };
    },
  }),
];

/** All names of a step in one row. */
function together(rows: readonly HistoryRow[]): readonly HistoryRow[] {
  return [...Map.groupBy(rows, ({ from }) => from)].map(([from, of]) => {
    const sum = (field: Exclude<keyof HistoryRow, 'from' | 'name'>) => of.reduce((total, one) => total + one[field], 0);
    const ended = { failed: sum('failed'), expired: sum('expired'), refused: sum('refused'), bytes: sum('bytes') };
    return { from, name: '', accepted: sum('accepted'), relayed: sum('relayed'), delayed: sum('delayed'), ...ended };
  });
}
