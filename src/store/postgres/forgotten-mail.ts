/** Messages that a restored database has forgotten, and a relay still has in memory: they come back held, as all of its mail is. */
import type { ForgottenMessage, RestoredStore } from '../restored-store.ts';
import type { Requests } from '../sqlite/requests.ts';
import { type EncodedMessage, encodeMessage } from '../sqlite/rows.ts';
import { HELD } from '../sqlite/states.ts';
import { insertMessages } from './message-rows.ts';
import { ownRequest, type PostgresContext } from './postgres-context.ts';

/** `numbers` of its recipients, by which the attempts that are under way settle them. */
type Forgotten = { readonly message: EncodedMessage; readonly numbers: readonly number[] };

export const lacksMessage = async ({ tx }: PostgresContext, id: string): Promise<boolean> =>
  (await tx.get('SELECT 1 FROM messages WHERE id = $1', id)) === undefined;

/** Its recipients were stored with it, so that a message that is there has all of them. */
export async function putBackForgotten(context: PostgresContext, { message, numbers }: Forgotten): Promise<boolean> {
  const { tx, effects } = context;
  if (!(await lacksMessage(context, message.id))) return false;
  insertMessages(tx, effects, [{ message, numbers, states: numbers.map(() => HELD), leases: [], reason: null }]);
  await tx.flush();
  return true;
}

export function restoredStore(client: Pick<Requests, 'call'>, onWentBack: RestoredStore['onWentBack']): RestoredStore {
  const putBack = ownRequest<Forgotten, boolean>(client, 'putBackForgotten');
  return {
    onWentBack,
    lacks: ownRequest<string, boolean>(client, 'lacksMessage'),
    putBack: ({ message, recipients, content }: ForgottenMessage) =>
      putBack({
        message: encodeMessage({ ...message, recipients, content }),
        numbers: recipients.map(({ n }) => n),
      }),
  };
}
