/** `smarthost version` */
import { VERSION } from '../system/version.ts';
import { define, type Register } from './define.ts';
import { printJson } from './io.ts';

export const registerVersion: Register = (program, io) => {
  define(program, { usage: 'version', about: 'Print the version.', examples: ['version'] }, async (_, { json }) => {
    await (json ? printJson(io, { version: VERSION, node: process.versions.node }) : io.out(`${VERSION}\n`));
  });
};
