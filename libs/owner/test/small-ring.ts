import type { ParametersLiteral } from '@blindfit/he';

/** No security: keys of it take some 10 ms. */
export const SMALL: ParametersLiteral = { ring: 2048, dataBits: [55, 45, 45, 45, 45], specialBits: 60, scaleBits: 45 };
export const STEPS = [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512];
