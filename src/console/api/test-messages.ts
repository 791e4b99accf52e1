/** Test mail: it goes through the queue like any other, and its conversation is kept. */
import * as v from 'valibot';
import { readTestMessage } from '../../control/control.ts';
import { route } from '../route.ts';

export const TEST_MESSAGE_ROUTES = [
  route({
    method: 'POST',
    path: '/test-messages',
    access: 'operator',
    scope: 'messages:send',
    status: 202,
    about: 'Sends a test message. GET /messages/:id follows it.',
    body: v.strictObject({
      to: v.string(),
      from: v.optional(v.pipe(v.string(), v.description('Default: `reports.from` of the configuration.'))),
    }),
    answer: v.object({ id: v.string(), header: v.pipe(v.string(), v.description('As it is sent, with LF line ends.')) }),
    location: ({ id }) => `/api/v1/messages/${id}`,
    handle: ({ control, body }) => control.send.submit(readTestMessage(body)),
  }),
];
