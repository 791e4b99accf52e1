/** Tries senders of a credential: what would be answered to mail with them. */
import { checkAuthor, checkReversePath } from '../policy/policy.ts';
import { Refusal, replyLine } from '../smtp/reply.ts';
import type { Credential } from '../store/store.ts';

/** Addresses in the form that SMTP uses. `reversePath`: of MAIL FROM, empty for the null one. `from`: of the header; default: `reversePath`. */
export type TriedSenders = { readonly reversePath: string; readonly from?: string | undefined };

/** `reply`: the refusal as the client would get it. `sentAs`: the sender that replaces it. */
export type SenderTrial = { readonly allowed: boolean; readonly reply: string | null; readonly sentAs: string | null };

/** By the code that judges mail. A sender that is replaced is always allowed; the null one of a mail server is not replaced. */
export function trySenders(credential: Credential, { reversePath, from = reversePath }: TriedSenders): SenderTrial {
  const { rewrite, mailServer } = credential;
  if (rewrite !== null && !(reversePath === '' && mailServer)) return { allowed: true, reply: null, sentAs: rewrite };
  try {
    checkReversePath(credential, reversePath);
    checkAuthor(credential, { from: from === '' ? [] : [from], nullSender: reversePath === '' });
    return { allowed: true, reply: null, sentAs: null };
  } catch (error) {
    if (error instanceof Refusal) return { allowed: false, reply: replyLine(error.reply), sentAs: null };
    throw error;
  }
}
