/** One transaction for all messages and settlements that wait: two rounds to the database, one that locks and reads, one that writes. */
import type { Effects } from '../sqlite/effects.ts';
import type { Argument } from '../sqlite/operations.ts';
import type { SignsOfLife } from '../sqlite/owners.ts';
import type { Request } from '../sqlite/protocol.ts';
import { lockForMail, type MailOutcome } from './acceptance.ts';
import { sendNote } from './audit-rows.ts';
import type { DatabaseTransaction } from './database-transaction.ts';
import type { DueChanges } from './due-memory.ts';
import { sendSigns } from './owner-rows.ts';
import { lockForSettling } from './settlement.ts';

type MailServices = {
  readonly due: DueChanges;
  readonly signs: SignsOfLife;
  readonly durability: 'two' | 'one';
  readonly machine: string;
};

/** @returns the outcome of each request. To be used only when the transaction is committed. */
export async function runMail(
  tx: DatabaseTransaction,
  effects: Effects,
  { due, signs, durability, machine }: MailServices,
  requests: readonly Request[],
): Promise<() => Promise<ReadonlyMap<number, MailOutcome<unknown>>>> {
  const accepts = requests.filter(([, name]) => name === 'accept');
  const settles = requests.filter(([, name]) => name === 'settle');
  const mail = accepts.map(([, , argument]) => argument as Argument<'accept'>);
  const store = mail.length === 0 ? undefined : lockForMail(tx, mail, durability);
  const settle =
    settles.length === 0
      ? undefined
      : lockForSettling(
          tx,
          settles.map(([, , argument]) => argument as Argument<'settle'>),
          { due, machine },
        );
  await tx.flush();
  const accepted = (await store?.(effects)) ?? [];
  for (const [i, [, , , note]] of accepts.entries()) {
    const outcome = accepted[i]!;
    if (note !== undefined && 'result' in outcome) sendNote({ tx, effects }, note, outcome.result);
  }
  const settled = await settle?.(effects);
  sendSigns(
    tx,
    signs,
    mail.flatMap(({ claim }) => claim?.lease ?? []),
  );
  for (const destination of destinationsIn(mail)) due.touch(destination);
  return async () => {
    const outcomes = new Map<number, MailOutcome<unknown>>();
    for (const [i, [id]] of accepts.entries()) outcomes.set(id, accepted[i]!);
    for (const [i, result] of ((await settled?.()) ?? []).entries()) outcomes.set(settles[i]![0], { result });
    return outcomes;
  };
}

function destinationsIn(mail: readonly Argument<'accept'>[]): ReadonlySet<string> {
  const found = new Set<string>();
  for (const { message, claim } of mail)
    if ((claim?.indexes.length ?? 0) < message.recipients.length / 4)
      for (let i = 1; i < message.recipients.length; i += 4) found.add(message.recipients[i] as string);
  return found;
}
