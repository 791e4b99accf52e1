/** How texts are packed for browsers. */
import { type BrotliOptions, constants } from 'node:zlib';

export const BROTLI: BrotliOptions = {
  params: {
    [constants.BROTLI_PARAM_MODE]: constants.BROTLI_MODE_TEXT,
    [constants.BROTLI_PARAM_QUALITY]: 11,
    [constants.BROTLI_PARAM_LGWIN]: 16, // the files are small, and a window of 4 MiB is memory for nothing
  },
};
