/** All that is decided once the header of a message is known. */
import { isAscii } from 'node:buffer';
import type { HeaderField } from '../signing/signing.ts';
import { domainOf } from '../smtp/envelope.ts';
import { type Author, authorOf } from './author.ts';
import { messageIdOf, missingFields } from './completion.ts';
import { type HeaderSection, parseHeader } from './header.ts';
import { type Finding, findings, loopIn, missingSender, withoutRemoved } from './hygiene.ts';
import type { PreparationOptions, PreparationRequest } from './preparation-request.ts';
import { rewriteFrom } from './rewrite.ts';
import { receivedField } from './trace.ts';

export type PreparedHeader = {
  /** Goes in front of everything. */
  readonly received: string;
  /** Fields that we add; they are signed like the client's. */
  readonly added: readonly HeaderField[];
  /** The client's fields that stay, and their bytes. */
  readonly kept: readonly HeaderField[];
  readonly section: Buffer;
  readonly fromDomain: string;
  readonly messageId: string;
  readonly ascii: boolean;
};

/** RFC 5321 §6.3 wants at least 100: mail with fewer has come a long way, but not in a loop. */
const MAX_RECEIVED = 100;

/** @throws Refusal where the header, or its author, is not fit to be sent. */
export function prepareHeader(bytes: Buffer, request: PreparationRequest, options: PreparationOptions): PreparedHeader {
  const parsed = parseHeader(bytes);
  const prepared = request.kind === 'report' ? ownHeader(parsed, request) : submittedHeader(parsed, request, options);
  const kept = prepared.kept ?? parsed.fields;
  const section = kept === parsed.fields ? bytes : Buffer.concat(kept.map(({ raw }) => raw));
  const { author, added, received } = prepared;
  return {
    received,
    added,
    kept,
    section,
    fromDomain: domainOf(author.from[0]!),
    messageId: messageIdOf([...kept, ...added]),
    ascii: isAscii(section),
  };
}

type Decided = {
  readonly author: Author;
  readonly added: readonly HeaderField[];
  /** Absent: all. */
  readonly kept?: readonly HeaderField[];
  readonly received: string;
};

/** Our own message is as we want it; one that is not is our mistake, never a Refusal. */
function ownHeader(parsed: HeaderSection, request: PreparationRequest): Decided {
  if (parsed.brokenLine !== undefined) throw new Error(`Line ${parsed.brokenLine} of our own report is not a header field`);
  try {
    return { author: authorOf(parsed.fields, request.envelope.reversePath), added: [], received: '' };
  } catch (cause) {
    throw new Error('Our own report has no valid From', { cause });
  }
}

function submittedHeader(parsed: HeaderSection, request: PreparationRequest, options: PreparationOptions): Decided {
  const { queueId, now, envelope, userToken, tls, check } = request;
  const { hostname } = options;
  const loop = loopIn(parsed.fields, hostname, options.maxReceived ?? MAX_RECEIVED);
  if (loop !== undefined) throw loop;
  const { kept: allowed, covered } = withoutRemoved(parsed.fields);
  const rewrites = request.rewrite !== undefined && parsed.fields.length > 0;
  const kept = rewrites ? rewriteFrom(allowed, request.rewrite) : allowed;
  const judge = (finding: Finding) => {
    if (!finding.relaxable || options.conformance !== 'warn') throw finding.refusal;
    options.warn?.('malformedHeader', { queueId, problem: finding.refusal.reply.text });
  };
  for (const finding of findings({ ...parsed, fields: kept })) judge(finding);
  const author = authorOf(kept, envelope.reversePath);
  const unsent = missingSender(author.from, author.sender);
  if (unsent !== undefined) judge(unsent);
  check?.(author);
  const trace = { hostname, queueId, now, smtpUtf8: envelope.smtpUtf8 };
  return {
    author,
    kept,
    added: missingFields({ fields: kept, covered, queueId, hostname, now }),
    received: receivedField({ ...trace, ...(tls && { tls }), ...(userToken !== undefined && { userToken }) }),
  };
}
