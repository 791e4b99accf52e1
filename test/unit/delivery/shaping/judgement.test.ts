import { expect, test } from 'vitest';
import { judgeReply, type ReplyQuestion } from '../../../../src/delivery/shaping/judgement.ts';
import type { ReplyJudgement, ReplyPhase } from '../../../../src/delivery/shaping/reply-class.ts';

const phase: ReplyPhase = 'rcpt';
const judge = (reply: ReplyQuestion['reply']): ReplyJudgement => judgeReply({ phase, reply });

test('a status that says what a refusal is about decides where no text does', () => {
  expect(judge({ code: 550, status: '5.1.1', text: 'No' })).toMatchObject({ class: 'no-such-user', scope: 'recipient' });
  expect(judge({ code: 550, status: '5.7.1', text: 'No' })).toMatchObject({ class: 'unknown', action: { verb: 'as-today' } });
});
