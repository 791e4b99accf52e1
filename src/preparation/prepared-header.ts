/**
 * What is decided about the header of a message, in two steps. Whether it may be sent is known when it has come; how it leaves is
 * known when the body has come too, since a signature that the message brought along is believed only where it fits the body.
 */
import { isAscii } from 'node:buffer';
import type { HeaderField } from '../signing/signing.ts';
import { domainOf } from '../smtp/envelope.ts';
import { type BroughtSignature, broughtSignatures, type Covered } from './brought-signatures.ts';
import { complete, messageIdOf } from './completion.ts';
import { type Author, authorOf, rewriteFrom } from './from.ts';
import { type HeaderSection, parseHeader } from './header.ts';
import { findings, type HeaderFault, loopIn, missingSender, withoutRemoved } from './hygiene.ts';
import { mendField } from './mending.ts';
import type { PreparationOptions, PreparationRequest } from './preparation.ts';
import { receivedField } from './trace.ts';

export type HeaderDraft = {
  readonly fromDomain: string;
  /** Those that may turn out to fit the body. */
  readonly brought: readonly BroughtSignature[];
  /** @param covered what the signatures cover that fit the body. */
  finish(covered: Covered): PreparedHeader;
};

export type PreparedHeader = {
  /** Goes in front of everything. */
  readonly received: string;
  /** Fields that we add; they are signed like the client's. */
  readonly added: readonly HeaderField[];
  /** The client's fields that stay, and their bytes. */
  readonly kept: readonly HeaderField[];
  readonly section: Buffer;
  readonly messageId: string;
  readonly ascii: boolean;
};

/** RFC 5321 §6.3 wants at least 100: mail with fewer has come a long way, but not in a loop. */
const MAX_RECEIVED = 100;

/** @throws Refusal where the header, or its author, is not fit to be sent. */
export function draftHeader(bytes: Buffer, request: PreparationRequest, options: PreparationOptions): HeaderDraft {
  const parsed = parseHeader(bytes);
  return request.kind === 'report' ? draftOwn(bytes, parsed, request) : draftSubmitted(bytes, parsed, request, options);
}

/** Our own message is as we want it; one that is not is our mistake, never a Refusal. */
function draftOwn(section: Buffer, { fields, brokenLine }: HeaderSection, request: PreparationRequest): HeaderDraft {
  if (brokenLine !== undefined) throw new Error(`Line ${brokenLine} of our own report is not a header field`);
  let author: Author;
  try {
    author = authorOf(fields, request.envelope.reversePath);
  } catch (cause) {
    throw new Error('Our own report has no valid From', { cause });
  }
  return {
    fromDomain: fromDomainOf(author),
    brought: [],
    finish: () => ({ received: '', added: [], kept: fields, section, messageId: messageIdOf(fields), ascii: isAscii(section) }),
  };
}

const fromDomainOf = ({ from }: Author) => domainOf(from[0]!);

function draftSubmitted(
  bytes: Buffer,
  parsed: HeaderSection,
  request: PreparationRequest,
  options: PreparationOptions,
): HeaderDraft {
  const { queueId, now, envelope, userToken, tls, check, rewrite } = request;
  const { hostname } = options;
  const loop = loopIn(parsed.fields, hostname, options.maxReceived ?? MAX_RECEIVED);
  if (loop !== undefined) throw loop;
  const rewrites = rewrite !== undefined && parsed.fields.length > 0;
  const fields = rewrites ? rewriteFrom(parsed.fields, rewrite) : parsed.fields;
  const judge = (finding: HeaderFault) => {
    if (!finding.relaxable || options.conformance !== 'warn') throw finding.refusal;
    options.warn?.('malformedHeader', { queueId, problem: finding.refusal.reply.text });
  };
  for (const finding of findings({ ...parsed, fields })) judge(finding);
  const author: Author = rewrites
    ? { from: [rewrite], nullSender: envelope.reversePath === '' }
    : authorOf(fields, envelope.reversePath);
  const unsent = missingSender(author.from, author.sender);
  if (unsent !== undefined) judge(unsent);
  check?.(author);
  const trace = { hostname, queueId, now, smtpUtf8: envelope.smtpUtf8 };
  return {
    fromDomain: fromDomainOf(author),
    // Every signature covers From: a new one breaks them all.
    brought: rewrites ? [] : broughtSignatures(fields, now),
    finish(covered) {
      const allowed = withoutRemoved(fields, covered);
      const { kept: whole, added } = complete({ fields: allowed, covered, queueId, hostname, now });
      const kept = covered.size === 0 && (parsed.mendable || rewrites) ? whole.map(mendField) : whole;
      const section = kept === parsed.fields ? bytes : Buffer.concat(kept.map(({ raw }) => raw));
      return {
        received: receivedField({ ...trace, ...(tls && { tls }), ...(userToken !== undefined && { userToken }) }),
        added,
        kept,
        section,
        messageId: messageIdOf([...kept, ...added]),
        ascii: isAscii(section),
      };
    },
  };
}
