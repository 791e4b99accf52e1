/** Reports of receivers, as any stranger may send them to an operator. */
import assert from 'node:assert/strict';
import { isIP } from 'node:net';
import { type ReportRecord, readAggregate } from '../../src/feedback/aggregate.ts';
import { FeedbackRefusal, readFeedback } from '../../src/feedback/feedback.ts';

const OWN = { addresses: new Set(['192.0.2.25']), keys: new Set(['s1._domainkey.example.org']) };

/** What it refuses, it refuses in one sentence. */
async function refusalOr(run: () => Promise<string>): Promise<string> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof FeedbackRefusal)) throw error;
    assert.ok(error.message.length <= 200, error.message);
    return error.message.slice(0, 40);
  }
}

/** Files, whose first octets say what they are. */
export function feedbackFiles(input: Buffer): Promise<string> {
  return refusalOr(async () => {
    const { reports, complaints } = await readFeedback(input, OWN);
    for (const { sums } of reports)
      for (const { source, messages } of sums.list()) assert.ok(isIP(source) !== 0 && messages >= 0);
    return `${reports.length} ${complaints.map(({ type, ours }) => `${type.slice(0, 10)} ${ours}`)}`;
  });
}

/** Documents: it must not matter where they are cut. */
export async function aggregateReports(input: Buffer, cut: number): Promise<string> {
  const read = async (pieces: readonly Buffer[]) => {
    const records: ReportRecord[] = [];
    async function* given() {
      yield* pieces;
    }
    const said = await refusalOr(async () => `read ${(await readAggregate(given(), (one) => records.push(one))).errors.length}`);
    return { said, records };
  };
  const whole = await read([input]);
  const parts = await read([input.subarray(0, cut), input.subarray(cut)]);
  // Of two faults, the one that comes in an earlier piece is told.
  if (whole.said.startsWith('read')) assert.deepEqual(parts, whole);
  else assert.ok(!parts.said.startsWith('read'), `${whole.said}, but in pieces ${parts.said}`);
  return `${whole.said} ${whole.records.length}`;
}
