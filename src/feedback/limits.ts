/** The bounds of what is read from strangers. */

const MIB = 1024 * 1024;

/** Octets of a compressed report. */
export const MOST_PACKED = 10 * MIB;
/** Octets of a report that is not compressed, or no longer; of all reports of one mail together. */
export const MOST_UNPACKED = 25 * MIB;
/** A mail that holds 10 MiB as base64, with its line ends. */
export const MOST_MAIL = 15 * MIB;
/** Unpacked octets for each packed one. Real reports stay below 40. */
export const MOST_RATIO = 100;
/** Records of one report. */
export const MOST_RECORDS = 20_000;
