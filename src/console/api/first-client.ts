/** What the client of a login does right now, and why it fails. */
import * as v from 'valibot';
import { readClientSessions } from '../../control/control.ts';
import { route } from '../route.ts';

const Mend = v.variant('do', [
  v.object({ do: v.picklist(['allowSender', 'rewrite']), sender: v.string() }),
  v.object({ do: v.picklist(['enable', 'newPassword']) }),
]);

const Session = v.object({
  at: v.string(),
  ip: v.string(),
  listener: v.nullable(v.string()),
  user: v.pipe(v.nullable(v.string()), v.description('The name that the client used; null: it did not get so far.')),
  mechanism: v.nullable(v.string()),
  state: v.picklist(['open', 'loggedIn', 'refused', 'accepted']),
  reason: v.pipe(v.nullable(v.string()), v.description('Why it fails, as one word.')),
  sentence: v.nullable(v.string()),
  advice: v.nullable(v.string()),
  mends: v.pipe(v.array(Mend), v.description('Changes that would mend it, the best one first.')),
  times: v.number(),
  reply: v.pipe(v.nullable(v.string()), v.description('The last refusal, as the client got it.')),
  sender: v.pipe(v.nullable(v.string()), v.description('The sender that was refused.')),
  queueId: v.pipe(v.nullable(v.string()), v.description('The last message that was accepted.')),
});

export const FIRST_CLIENT_ROUTES = [
  route({
    method: 'GET',
    path: '/credentials/:name/sessions',
    access: 'operator',
    scope: null,
    about: 'What clients of a credential do, and why they fail. The relay watches while somebody asks, and two minutes longer.',
    answer: v.object({ items: v.array(Session) }),
    async handle({ params, control, parts }) {
      const login = await control.users.show(params.name);
      const others = new Set((await control.users.list()).map(({ name }) => name));
      const sessions = readClientSessions(parts.clientEvents(), login, (name) => others.has(name.toLowerCase()));
      return {
        items: sessions.map((session) => ({ ...session, at: new Date(session.at).toISOString(), mends: [...session.mends] })),
      };
    },
  }),
];
