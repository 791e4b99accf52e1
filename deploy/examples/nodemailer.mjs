// Node with nodemailer: one transport for the whole program, a few kept connections.
//   on the relay:  smarthost user add shop@example.org
//   try it:        SMTP_PASSWORD=… node nodemailer.mjs you@example.com
import { createTransport } from 'nodemailer';

export const transport = createTransport({
  host: 'relay.example.net',
  port: 465,
  secure: true, // TLS from the first byte; with port 587: secure: false, requireTLS: true
  auth: { user: 'shop@example.org', pass: process.env.SMTP_PASSWORD },
  pool: true,
  maxConnections: 5,
});

// A 4xx code means "later": keep the message and try again. A 5xx code will not change.
const { response } = await transport.sendMail({
  from: 'Shop <shop@example.org>',
  to: process.argv[2],
  subject: 'test',
  text: 'hello',
});
console.log(response);
transport.close();
